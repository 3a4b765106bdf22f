"""Thresholds from the command line: used in place of the model's, or refused."""

from types import SimpleNamespace

import pytest

from samzoo.runtime.errors import InputError
from samzoo.runtime.large.file_task import FileTask
from samzoo.zoo.cli.thresholds import FIELDS, mode_thresholds


def options(**given):
    return SimpleNamespace(**{**dict.fromkeys(FIELDS), **given})


def test_what_is_not_given_is_the_model_s():
    assert mode_thresholds(options(), "ais") == {}


def test_each_option_sets_its_field(toy_config, tmp_path):
    given = {
        "foreground_threshold": 0.3, "center_threshold": 0.4, "boundary_threshold": 0.6,
        "min_size": 12,
    }  # fmt: skip
    for mode in ("ais", "apg"):
        thresholds = mode_thresholds(options(**given), mode)
        task = FileTask(path=tmp_path, output=tmp_path, mode=mode, thresholds=thresholds)
        found = task.parameters_for(toy_config().ais)
        assert [getattr(found, FIELDS[name]) for name in given] == [0.3, 0.4, 0.6, 12]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"foreground_threshold": 1.5}, "--foreground-threshold: found 1.5, allowed is 0 to 1"),
        ({"center_threshold": float("nan")}, "--center-threshold: found nan, allowed is 0 to 1"),
        ({"boundary_threshold": -0.1}, "--boundary-threshold: found -0.1, allowed is 0 to 1"),
        ({"min_size": -1}, "--min-size: found -1, allowed is 0 or more"),
    ],
)
def test_values_out_of_range_are_refused(given, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        mode_thresholds(options(**given), "ais")


def test_a_grid_of_points_has_no_such_thresholds():
    with pytest.raises(InputError, match="--min-size: the mode amg has no such threshold"):
        mode_thresholds(options(min_size=3), "amg")


def test_a_threshold_changes_labels_and_scores(run_verb, toy_package, tmp_path, capsys):
    import json

    import numpy as np
    from PIL import Image

    from samzoo.runtime.images.reading import write_labels
    from samzoo.runtime.labels.files import read_labels

    image = np.zeros((64, 64), np.uint8)
    image[5:25, 5:25], image[40:44, 40:44] = 200, 200
    Image.fromarray(image).save(tmp_path / "cells.png")
    truth = (image > 0).astype(np.int32)
    truth[40:44, 40:44] *= 2
    write_labels(tmp_path / "truth.tif", truth)

    def objects(*more):
        labels = tmp_path / "labels.tif"
        run_verb(
            "segment", tmp_path / "cells.png", "-o", labels, "--force", "--model", toy_package,
            *more,
        )  # fmt: skip
        return len(np.unique(read_labels(labels))) - 1

    assert (objects(), objects("--min-size", 20)) == (2, 1)
    assert objects("--foreground-threshold", 0.9) == 0

    def score(*more):
        capsys.readouterr()
        run_verb(
            "evaluate", "--images", tmp_path / "cells.png", "--labels", tmp_path / "truth.tif",
            "--tasks", "ais", "--min-object-size", 1, "-o", tmp_path / "r.json", "--force",
            "--model", toy_package, *more,
        )  # fmt: skip
        return json.loads((tmp_path / "r.json").read_text())["mean"]["ais"]["msa"]

    assert score() == 1.0 > score("--min-size", 20) > 0
