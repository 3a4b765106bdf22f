"""The server itself: started, asked, killed, and walked through in a browser."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile

from samzoo.runtime import load
from samzoo.runtime.errors import StorageError
from samzoo.zoo.annotation.collection import Collection
from samzoo.zoo.annotation.session import AnnotationSession

uvicorn = pytest.importorskip("uvicorn")

WALK = Path(__file__).parent / "walk.js"


class Started:
    """``samzoo annotate`` as a process of its own."""

    def __init__(self, images, package):
        words = ["annotate", str(images), "--model", str(package)]
        script = "import sys; from samzoo.zoo.cli import main; sys.exit(main(sys.argv[1:]))"
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, *words], stderr=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stderr is not None
        found = None
        while found is None:
            line = self.process.stderr.readline()
            assert line, "the server ended"
            found = re.search(r"open (http://127\.0\.0\.1:\d+)(/\S+/) in a browser", line)
        self.origin, self.home = found[1], found[1] + found[2]

    def act(self, name, **fields):
        import httpx

        answer = httpx.post(f"{self.home}api/{name}", json=fields, headers={"Origin": self.origin},
                            timeout=60)  # fmt: skip
        assert answer.status_code == 200, answer.text
        return answer.json()

    def end(self, number):
        self.process.send_signal(number)
        with self.process:
            self.process.communicate(timeout=60)
        return self.process.returncode


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_what_was_accepted_survives_a_kill_and_quitting_ends_well(images, toy_package):
    pytest.importorskip("httpx")
    first = Started(images, toy_package)
    for box in ([10, 5, 30, 25], [80, 30, 100, 50]):
        first.act("prompt", box=box)
        first.act("accept")
    first.end(signal.SIGKILL)
    assert tifffile.imread(images / "labels" / "a.tif").max() == 2
    second = Started(images, toy_package)
    assert second.act("undo")["can_undo"]
    second.act("redo")
    second.act("delete", ids=[1])
    second.act("quit")
    with second.process:
        out, _ = second.process.communicate(timeout=60)
    assert second.process.returncode == 0
    assert out.strip() == str(images / "labels")
    assert np.unique(tifffile.imread(images / "labels" / "a.tif")).tolist() == [0, 2]
    third = Started(images, toy_package)
    assert third.end(signal.SIGINT) == 130


def test_a_port_that_is_taken_is_told_and_the_image_is_free_again(images, toy_package):
    from samzoo.zoo.annotation_page.serving import _listening, serve

    with _listening(0) as taken:
        port = taken.getsockname()[1]
        session = AnnotationSession(Collection(images), load(toy_package))
        with pytest.raises(StorageError, match=f"--port {port}: cannot be used"):
            serve(session, port=port, ready=lambda _: None)
    AnnotationSession(Collection(images), load(toy_package)).close()


def serve_with_walk(session, plan, patch):
    """Serve a session whose page also runs the walk; returns its address and how to end it."""
    from starlette.responses import Response
    from starlette.routing import Route

    from samzoo.zoo.annotation_page import serving
    from samzoo.zoo.annotation_page.application import make_application

    ended: list[object] = []

    def with_walk(desk, *, stop):
        ended.append(stop)
        app = make_application(desk, stop=stop)
        script = f"window.walkPlan = {json.dumps(plan)};\n{WALK.read_text(encoding='utf-8')}"
        page = (Path(serving.__file__).parent / "page.html").read_text(encoding="utf-8")
        page = page.replace("</head>", '<script src="walk.js" defer></script></head>')
        for path, text, kind in (("/walk.js", script, "text/javascript"),
                                 ("/", page, "text/html")):  # fmt: skip

            async def send(_, text=text, kind=kind):
                return Response(text, media_type=kind)

            app.router.routes.insert(0, Route(path, send))
        return app

    patch.setattr(serving, "make_application", with_walk)
    address: list[str] = []
    told = threading.Event()

    def ready(found):
        address.append(found)
        told.set()

    thread = threading.Thread(target=serving.serve, args=(session,), kwargs={"ready": ready})
    thread.start()
    assert told.wait(60)

    def end():
        ended[0]()  # type: ignore[operator]
        thread.join(60)

    return address[0], end


def in_browser(address, folder, *more):
    """Open a page in headless Chromium; returns what it is at the end."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("there is no chromium")
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,860",
         "--virtual-time-budget=60000", f"--user-data-dir={folder}", *more, address],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    return done.stdout


@pytest.mark.slow
def test_a_walk_in_a_browser_ends_with_its_labels_on_the_disk(
    images, toy_package, tmp_path, monkeypatch
):
    session = AnnotationSession(Collection(images), load(toy_package), model_name="toy")
    plan = {
        "remove": [90, 40], "beside": [60, 60], "replace": [20, 15], "box": [[10, 5], [30, 25]],
        "cut": [[30.5, 80], [30.5, 119]],
    }  # fmt: skip
    address, end = serve_with_walk(session, plan, monkeypatch)
    try:
        page = in_browser(address, tmp_path / "profile", "--dump-dom")
    finally:
        end()
    found = re.search(r"<title>(.*?)</title>", page)
    assert found, page[:500]
    assert json.loads(found[1]) == {
        "automatic": 4, "selected": 1, "points": [1, 0], "kept": True, "objects": 5, "error": "",
    }  # fmt: skip
    labels = tifffile.imread(images / "labels" / "a.tif")
    assert len(np.unique(labels)) == 6
    again = AnnotationSession(Collection(images), load(toy_package))
    np.testing.assert_array_equal(again.labels, labels)
    assert again.document.can_undo
    again.close()
