"""The page of pictures: its order, its files, and what it replaces."""

import numpy as np
import pytest
from PIL import Image

from samzoo.runtime.errors import OutputExistsError
from samzoo.runtime.evaluation.comparison import METRICS, Comparison
from samzoo.runtime.evaluation.report import ImageScores
from samzoo.zoo.review.pictures import MARKER, SHEET, Pictures

LABELS = np.zeros((20, 30), np.int32)
LABELS[5:10, 5:15] = 1


def row(name, score):
    return ImageScores(
        image=f"in/{name}", labels="", content="", group="field <1>", stratum="", classes=[],
        n_objects=1, n_removed=0, scores={"ais": dict.fromkeys(METRICS, score)}, matches={},
        boundary_errors={}, orientations=[], corrections={},
    )  # fmt: skip


@pytest.fixture
def pictures(tmp_path):
    (tmp_path / "kept").mkdir()
    page = Pictures(tmp_path / "kept", "ais")
    for model, scores in (("first", (0.9, 0.2, 0.5)), ("other", (0.9, 0.4, 0.1))):
        for name, score in zip(("good.tif", "bad.tif", "worse.tif"), scores, strict=True):
            compared = {"ais": Comparison(LABELS, LABELS)}
            page.add(model, row(name, score), LABELS * 9, LABELS, compared)
    page.add("first", row("none.tif", 0), LABELS, LABELS, {})
    return page


def test_the_page_shows_each_model_and_the_worst_image_first(pictures, tmp_path):
    pictures.write(tmp_path / "page", force=False)
    text = (tmp_path / "page/index.html").read_text()
    assert text.index("worse.tif") < text.index("bad.tif") < text.index("good.tif")
    assert "none.tif" not in text
    assert text.count("<figure>") == 6
    assert "other: msa 0.100" in text
    assert "field &lt;1&gt;" in text
    files = {path.name for path in (tmp_path / "page").iterdir()}
    assert files == {"index.html", SHEET, MARKER, *(f"000{i}-{j}.png" for i in range(3)
                                                   for j in range(2))}  # fmt: skip
    with Image.open(tmp_path / "page" / SHEET) as sheet:
        assert sheet.size == (4 * 408, 2 * (80 + 24))


def test_only_an_older_page_is_replaced(pictures, tmp_path):
    pictures.write(tmp_path / "page", force=False)
    with pytest.raises(OutputExistsError, match="exists already"):
        pictures.write(tmp_path / "page", force=False)
    pictures.write(tmp_path / "page", force=True)
    (tmp_path / "own").mkdir()
    with pytest.raises(OutputExistsError, match="not a folder that samzoo wrote"):
        pictures.write(tmp_path / "own", force=True)


def test_without_images_there_is_a_page_that_shows_none(tmp_path):
    Pictures(tmp_path, "box").write(tmp_path / "page", force=False)
    assert "<figure>" not in (tmp_path / "page/index.html").read_text()
