"""A session with the toy model behind the page's guard, asked by Starlette's own client."""

import pytest
import tifffile

from samzoo.runtime import load
from samzoo.zoo.annotation.collection import Collection
from samzoo.zoo.annotation.session import AnnotationSession

pytest.importorskip("starlette")
pytest.importorskip("httpx")

TOKEN, PORT = "secret-token", 8765
HOME = f"http://127.0.0.1:{PORT}"


@pytest.fixture
def images(tmp_path, discs):
    """A folder with two images."""
    folder = tmp_path / "images"
    folder.mkdir()
    centers = [(15, 20), (40, 90), (100, 30), (85, 110)]
    tifffile.imwrite(folder / "a.tif", discs((120, 128), centers))
    tifffile.imwrite(folder / "b.tif", discs((60, 70), [(20, 20), (40, 50)]))
    return folder


@pytest.fixture
def desk(images, toy_package):
    from samzoo.zoo.annotation_page.actions import Desk

    session = AnnotationSession(Collection(images), load(toy_package), model_name="toy")
    yield Desk(session)
    session.close()


@pytest.fixture
def client(desk):
    """Asks as the page does; ``client.get("/" + TOKEN + "/api/state")``."""
    from starlette.testclient import TestClient

    from samzoo.zoo.annotation_page.application import make_application
    from samzoo.zoo.annotation_page.guards import Guard

    app = Guard(make_application(desk, stop=lambda: None), token=TOKEN, port=PORT)
    with TestClient(app, base_url=HOME, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def act(client):
    """Does an action; returns the state."""

    def act(name, status=200, **fields):
        answer = client.post(f"/{TOKEN}/api/{name}", json=fields, headers={"Origin": HOME})
        assert answer.status_code == status, answer.text
        return answer.json()

    return act
