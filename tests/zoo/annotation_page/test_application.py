"""The walk of a person on the page, request by request."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from samzoo.runtime.errors import WriteError

HOME = "/secret-token"


def labels_of(client, shape=(120, 128)):
    return np.frombuffer(client.get(f"{HOME}/api/labels").content, "<i4").reshape(shape)


def test_a_walk_from_the_automatic_labels_to_the_next_image(client, act, desk, images):
    act("prepare")
    desk.preparation._thread.join()
    state = client.get(f"{HOME}/api/state").json()
    assert (state["ready"], state["has_ais"], state["progress"]) == (True, True, None)
    assert state["images"] == ["a.tif", "b.tif"]
    assert act("automatic", thresholds={"min_size": 5})["proposal"]
    proposal = np.frombuffer(client.get(f"{HOME}/api/proposal").content, "<i4")
    state = act("accept_automatic", keep=False)
    np.testing.assert_array_equal(labels_of(client).ravel(), proposal)
    np.testing.assert_array_equal(tifffile.imread(images / "labels" / "a.tif"), labels_of(client))
    label = int(labels_of(client)[15, 20])
    state = act("delete", ids=[label])
    y0, x0, y1, x1 = state["changed"]
    part = client.get(f"{HOME}/api/labels/{y0}/{x0}/{y1}/{x1}").content
    np.testing.assert_array_equal(
        np.frombuffer(part, "<i4").reshape(y1 - y0, x1 - x0), labels_of(client)[y0:y1, x0:x1]
    )
    candidate = act("prompt", points=[[20, 15]], point_labels=[1])["candidate"]
    assert candidate["pixels"] > 50
    act("accept")
    assert labels_of(client)[15, 20] == 5
    act("prompt", object=5)
    act("accept", label=5, over=True)
    act("prompt", box=[80, 30, 100, 50])
    act("discard")
    assert len(np.unique(labels_of(client))) == 5
    act("split", label=5, line=[[20.5, -2], [20.5, 119]])
    act("merge", ids=[5, 6])
    assert act("undo")["can_redo"]
    act("redo")
    state = act("open", number=1)
    assert state["opened"]
    assert state["size"] == [60, 70]
    assert not labels_of(client, (60, 70)).any()
    act("cancel")


def test_downloads_are_what_lies_on_the_disk(client, act, images):
    assert client.get(f"{HOME}/api/labels.tif").status_code == 400
    act("automatic")
    act("accept_automatic", keep=True)
    answer = client.get(f"{HOME}/api/labels.tif")
    assert answer.headers["content-disposition"] == 'attachment; filename="a_labels.tif"'
    assert answer.content == (images / "labels" / "a.tif").read_bytes()
    assert len(client.get(f"{HOME}/api/objects.csv").text.splitlines()) == 5
    with Image.open(io.BytesIO(client.get(f"{HOME}/api/overlay.png").content)) as picture:
        assert picture.mode == "RGB"
    with Image.open(io.BytesIO(client.get(f"{HOME}/api/image.png").content)) as picture:
        assert picture.size == (128, 120)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("delete", {"ids": [3]}, "object 3"),
        ("delete", {"ids": 3}, "ids: expected a list"),
        ("delete", {"ids": []}, "ids: expected a list"),
        ("delete", {"ids": [True]}, "ids: expected a whole number"),
        ("delete", {"id": [1]}, "unknown field 'id'; did you mean 'ids'?"),
        ("prompt", {}, "no prompt"),
        ("prompt", {"points": [[1, 1]]}, "point_labels: expected one for each of 1"),
        ("prompt", {"points": [[1, "a"]], "point_labels": [1]}, "points: expected 2 numbers"),
        ("prompt", {"points": [[1, 1e300]], "point_labels": [1]}, "points: expected 2 numbers"),
        ("prompt", {"points": [[1, 1]] * 65, "point_labels": [1] * 65}, "at most 64 points"),
        ("prompt", {"box": [1, 2, 3]}, "box: expected 4 numbers"),
        ("prompt", {"object": 2}, "object 2"),
        ("automatic", {"thresholds": {"smoothing": 1}}, "smoothing: is no threshold"),
        ("automatic", {"thresholds": []}, "thresholds: expected an object"),
        ("accept", {"over": 1}, "over: expected true or false"),
        ("accept", {}, "no mask waits"),
        ("split", {"label": 1, "line": [[0, 0]] * 2001}, "at most 2000 points"),
        ("open", {"number": 2}, "there are images 1 to 2"),
        ("open", {"number": "../x"}, "number: expected a whole number"),
        ("open", {"path": "/etc/passwd"}, "unknown field 'path'"),
        ("prepare", {"diameter": "large"}, "diameter: found 'large'"),
        ("prepare", {"diameter": True}, "diameter: expected 1 numbers"),
        ("undo", {}, "nothing to undo"),
    ],
)
def test_wrong_requests_are_told_in_one_sentence(act, name, fields, message):
    assert message in act(name, 400, **fields)["error"]


def test_a_full_disk_is_told_and_the_mask_still_waits(act, client, monkeypatch):
    act("prompt", points=[[20, 15]], point_labels=[1])

    def full(*_, **__):
        raise WriteError("labels: cannot be written (No space left on device)")

    with monkeypatch.context() as patch:
        patch.setattr("samzoo.zoo.annotation.annotated_image.write_labels", full)
        assert "No space left" in act("accept", 507)["error"]
    assert not labels_of(client).any()
    act("accept")
    assert labels_of(client).any()


def test_our_own_error_shows_no_traceback(act, monkeypatch, desk):
    def broken():
        raise RuntimeError("secret-path")

    monkeypatch.setattr(desk.session, "undo", broken)
    error = act("undo", 500)["error"]
    assert error == "internal error (RuntimeError); please report it"
