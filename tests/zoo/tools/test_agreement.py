"""What an export measures of the files for other tools."""

import dataclasses

import numpy as np
import pytest
import tiny

from samzoo.runtime.formats.manifest import Manifest
from samzoo.zoo.checkpoints.tools.differences import MICRO_SAM, SEGMENT_ANYTHING
from samzoo.zoo.tools.agreement import SCALE_SIZES, images_for, mean_iou

pytestmark = [pytest.mark.torch, pytest.mark.onnx]


def test_mean_iou_counts_pairs_and_two_empty_masks_agree():
    masks = np.zeros((3, 2, 4), np.bool_)
    masks[0, 0, :2] = masks[1] = True
    others = np.zeros((3, 2, 4), np.bool_)
    others[0, 0, 1:3] = others[1] = True
    assert mean_iou(masks, others) == pytest.approx((1 / 3 + 1 + 1) / 3)


def test_a_scale_is_tried_at_several_sizes_and_a_stretch_at_low_contrast():
    plain, small = tiny.make_config("vit"), ((192, 256), False)
    assert images_for(plain, SEGMENT_ANYTHING) == [small]
    scaled = dataclasses.replace(
        plain, preprocessing=dataclasses.replace(plain.preprocessing, scale=1.5)
    )
    field = int(plain.image_size / 1.5)
    assert images_for(scaled, SEGMENT_ANYTHING) == [
        (size, False) for size in ((field, field), *SCALE_SIZES)
    ]
    low = [small, ((192, 256), True)]
    assert images_for(tiny.make_config("vit", intensity="percentile"), SEGMENT_ANYTHING) == low
    assert images_for(plain, MICRO_SAM) == low  # the tool stretches, the model does not


def test_weights_of_a_min_max_model_are_measured_as_wrong_at_low_contrast(exported):
    rows = {
        target: {row["high"]: row["iou"] for row in rows}
        for target, rows in exported.manifest.metrics["tools"].items()
    }
    assert set(rows) == {
        "segment-anything", "huggingface", "anylabeling", "osam", "cvat", "transformers-js"
    }  # fmt: skip
    for target in ("segment-anything", "huggingface"):
        assert rows[target][255] > 0.98
        assert rows[target][120] < 0.9
    for target in ("osam", "cvat", "transformers-js"):
        assert rows[target][120] > 0.97


def test_what_was_measured_stands_in_manifest_card_and_the_targets_readme(exported):
    manifest = Manifest.read(exported.folder)
    card = (exported.folder / "README.md").read_text(encoding="utf-8")
    for target, rows in manifest.metrics["tools"].items():
        text = (exported.folder / target / "README.md").read_text(encoding="utf-8")
        for row in rows:
            values = f"{row['low']} to {row['high']} | {row['iou']:.3f} |"
            line = f"{row['height']} x {row['width']} | {values}"
            assert f"| {line}" in text
            assert f"| {target} | {line}" in card
