"""``samzoo annotate``: what it opens and refuses; ``annotation_page`` tests the page itself."""

import pytest
import tifffile

pytest.importorskip("uvicorn")


@pytest.fixture
def served(monkeypatch):
    """The sessions that were served, which end at once."""
    sessions = []

    def serve(session, *, port, ready):
        ready(f"http://127.0.0.1:{port}/token/")
        sessions.append((session.number, session.diameter, session.model.diameter))
        session.prompt(box=(10, 5, 30, 25))
        session.accept()
        session.close()

    monkeypatch.setattr("samzoo.zoo.annotation_page.serving.serve", serve)
    return sessions


def test_an_image_is_served_and_its_labels_lie_in_the_output(run, image, tmp_path, served):
    out = tmp_path / "out"
    status, said, err = run("annotate", image, "-o", out, "--port", 8123)
    assert (status, said) == (0, f"{out / 'labels'}\n")
    assert "open http://127.0.0.1:8123/token/ in a browser" in err
    assert tifffile.imread(out / "labels" / "cells.tif").max() == 1
    assert served == [(0, None, None)]


def test_the_model_is_sized_by_the_session_alone(sized, tmp_path, served):
    assert sized("annotate", "discs.tif", "-o", "out", "--diameter", 20)[0] == 0
    assert served == [(0, 20.0, None)]


def test_an_image_too_large_for_a_page_is_refused(run, image, tmp_path, served, monkeypatch):
    monkeypatch.setattr("samzoo.zoo.cli.images.annotate.MOST_PIXELS", 9000)
    status, _, err = run("annotate", image, "-o", tmp_path / "out")
    assert status == 2
    assert "has 128 x 120 pixels, allowed here are 9000" in err
    assert served == []


def test_a_missing_package_names_the_extra(run, image, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)
    status, _, err = run("annotate", image, "-o", tmp_path / "out")
    assert status == 2
    assert "[annotate]" in err
    assert not (tmp_path / "out").exists()
