"""``samzoo evaluate``: reports of files and folders, and of the adapter that is named."""

import json
import os
import shlex
from pathlib import Path

import numpy as np
import tifffile


def test_evaluate_writes_a_report_with_its_command(run, image, tmp_path):
    labels = tmp_path / "truth.tif"
    run("segment", image, "-o", labels)
    report = tmp_path / "report.json"
    status, out, err = run(
        "evaluate", "--images", image, "--labels", labels, "--tasks", "ais, box", "-o", report,
        "--seed", 5,
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == ["task", "ais", "box", "box_fill"]
    found = json.loads(report.read_text())
    assert found["mean"]["ais"]["msa"] == 1.0
    assert found["mean"]["box"]["msa"] == 1.0
    assert found["n_objects"] == 4
    assert found["settings"]["seed"] == 5
    assert found["weights_digest"] == "sha256:toy"
    assert shlex.split(found["command"])[:4] == ["samzoo", "evaluate", "--images", str(image)]


def test_evaluate_matches_folders_by_name(run, image, tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    truth = np.zeros((120, 128), np.uint16)
    truth[tifffile.imread(image) > 0] = 1
    for name in ("b", "a"):
        (tmp_path / "images" / f"{name}.tif").write_bytes(image.read_bytes())
        tifffile.imwrite(tmp_path / "labels" / f"{name}.tif", truth)
    status, out, _ = run(
        "evaluate", "--images", tmp_path / "images", "--labels", tmp_path / "labels",
        "--tasks", "ais", "-o", tmp_path / "report.json", "--json",
    )  # fmt: skip
    assert status == 0
    assert set(json.loads(out)["mean"]) == {"ais"}
    rows = json.loads((tmp_path / "report.json").read_text())["images"]
    assert [os.path.basename(row["image"]) for row in rows] == ["a.tif", "b.tif"]


def test_evaluate_scores_the_named_adapter(run_shared, discs):
    truth = discs((64, 64), [(20, 20)], high=1) + discs((64, 64), [(45, 40)], high=2)
    tifffile.imwrite("truth.tif", truth)
    for name, score in (("bright", 1.0), ("dark", 0.0)):
        status, _, errors = run_shared(
            "evaluate", "--images", "cells.tif", "--labels", "truth.tif", "--tasks", "ais",
            "--model", "shared", "--adapter", name, "-o", f"{name}.json",
        )  # fmt: skip
        assert status == 0, errors
        report = json.loads(Path(f"{name}.json").read_text())
        assert (report["adapter"], report["mean"]["ais"]["sa50"]) == (name, score)
