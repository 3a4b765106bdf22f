"""``samzoo suggest``."""

import json

import pytest
from PIL import Image

from samzoo.zoo.hub.model_index import write_index


@pytest.fixture
def here(run_shared, monkeypatch, tmp_path):
    """Run a verb beside ``shared`` and ``cells.tif``, with an empty cache."""
    monkeypatch.setenv("SAMZOO_CACHE", str(tmp_path / "cache"))
    return run_shared


def test_it_draws_a_sheet_and_says_what_comes_next(here, tmp_path):
    status, out, err = here("suggest", "cells.tif", "-o", "s.png", "--model", "shared")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "s.png"
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.width > 3 * 512
    commands = [line.strip() for line in lines if line.strip().startswith("samzoo segment ")]
    assert len(commands) == 2
    assert commands[1].endswith("--model shared --adapter bright")
    assert any(line.startswith("shared --adapter bright: 2 objects") for line in lines)
    assert "  doubt: no object was found" in out
    assert here(*commands[1].split()[1:])[0] == 0


def test_json_says_the_same_with_numbers(here):
    status, out, _ = here("suggest", "cells.tif", "-o", "s.png", "--model", "shared", "--json")
    found = json.loads(out)
    assert status == 0
    assert [(row["adapter"], row["objects"]) for row in found["models"]] == [
        ("dark", 0), ("bright", 2),
    ]  # fmt: skip
    assert (found["window"], found["size"]) == ([0, 0, 64, 64], [64, 64])


def test_a_model_that_fails_is_shown_and_ends_in_4(here, make_package, tmp_path):
    (make_package(tmp_path / "bad") / "onnx/encoder.onnx").write_bytes(b"x")
    words = ["suggest", "cells.tif", "-o", "s.png", "--model", "bad"]
    status, out, err = here(*words, "--model", "shared")
    assert (status, (tmp_path / "s.png").exists()) == (4, True)
    assert "bad: failed" in out
    assert "bad: failed" in err
    (tmp_path / "s.png").unlink()
    status, out, err = here(*words)
    assert (status, out, (tmp_path / "s.png").exists()) == (2, "", False)
    assert "damaged" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.tif", "-o", "s.png", "--model", "shared"], "none.tif: no such file"),
        (["cells.tif", "-o", "s.tif", "--model", "shared"], "ends in .png"),
        (["cells.tif", "-o", "s.png", "--model", "nothing"], "'nothing'"),
        (["cells.tif", "-o", "s.png", "--model", "shared", "--all"], "not both"),
        (["cells.tif", "-o", "s.png", "--all"], "SAMZOO_INDEX"),
    ],
)
def test_what_cannot_be_used_is_refused_before_any_work(here, tmp_path, words, message):
    status, out, err = here("suggest", *words)
    assert (status, out) == (2, "")
    assert message in err
    assert not (tmp_path / "s.png").exists()


def test_all_models_of_this_computer_are_tried_and_those_of_an_index_on_demand(
    here, tmp_path, monkeypatch
):
    monkeypatch.setattr("samzoo.zoo.reports.model_shelf.shipped", lambda: [])
    write_index([tmp_path / "shared"], tmp_path / "index.json")
    monkeypatch.setenv("SAMZOO_INDEX", str(tmp_path / "index.json"))
    status, _, err = here("suggest", "cells.tif", "-o", "s.png")
    assert (status, "no model" in err) == (2, True)
    status, out, err = here("suggest", "cells.tif", "-o", "s.png", "--all")
    assert (status, out.count("--model toys")) == (0, 2)
    status, out, err = here("suggest", "cells.tif", "-o", "t.png")
    assert (status, out.count("--model toys")) == (0, 2)
