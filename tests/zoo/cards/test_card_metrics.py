"""A metric that is added to the table shows up wherever scores are shown."""

import json

import numpy as np
import pytest
import tifffile

from samzoo.runtime.evaluation.comparison import METRICS
from samzoo.runtime.evaluation.matching import SHOWN_PRECISIONS
from samzoo.runtime.formats.manifest import Manifest
from samzoo.zoo.cards.card import render_card
from samzoo.zoo.cards.card_header import header_of
from samzoo.zoo.cli import main


@pytest.fixture
def share_found(monkeypatch):
    """Add a metric: the share of the image that labels cover."""
    monkeypatch.setitem(
        METRICS, "covered", lambda comparison: float((comparison.labels > 0).mean())
    )
    return "covered"


def manifest_of(scores, toy_config):
    evaluation = {"subject": "this model", "data": "d", "scores": scores}
    return Manifest(
        name="cells", model=toy_config(), files=(), metrics={"evaluations": [evaluation]}
    )


def test_a_new_metric_is_in_report_table_card_and_header(
    share_found, make_package, toy_config, tmp_path, capsys
):
    package = make_package(tmp_path / "package")
    image = np.zeros((96, 128), np.uint8)
    image[20:40, 30:60] = 200
    tifffile.imwrite(tmp_path / "image.tif", image)
    tifffile.imwrite(tmp_path / "truth.tif", (image > 0).astype(np.uint16))
    arguments = ["evaluate", "--images", tmp_path / "image.tif", "--labels", tmp_path / "truth.tif"]
    arguments += ["--tasks", "ais,box", "--model", package, "-o", tmp_path / "report.json"]
    assert main([str(argument) for argument in arguments]) == 0
    assert capsys.readouterr().out.split("\n")[0].split() == [
        "task", *METRICS, *SHOWN_PRECISIONS, "edge", "px"
    ]  # fmt: skip
    scores = json.loads((tmp_path / "report.json").read_text())["mean"]
    assert scores["ais"][share_found] > 0
    manifest = manifest_of(scores, toy_config)
    assert f"| task | {' | '.join(METRICS)} |" in render_card(manifest)
    (result, _) = header_of(manifest)["model-index"][0]["results"]
    assert share_found in [metric["type"] for metric in result["metrics"]]


def test_a_package_from_before_the_metric_has_a_dash_in_its_place(share_found, toy_config):
    old = {name: 0.5 for name in METRICS if name != share_found}
    manifest = manifest_of({"ais": old}, toy_config)
    assert "| ais | 0.500 | 0.500 | 0.500 | 0.500 | - |" in render_card(manifest)
    (result,) = header_of(manifest)["model-index"][0]["results"]
    assert share_found not in [metric["type"] for metric in result["metrics"]]
