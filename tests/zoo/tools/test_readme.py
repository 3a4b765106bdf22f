"""The README in a target's folder says what the tool's files cannot."""

import dataclasses
from typing import Any

import pytest
import tiny

from samzoo.runtime.formats.architecture import UnetrDecoderConfig
from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.formats.manifest import Manifest
from samzoo.zoo.packages.target import Source
from samzoo.zoo.targets import get_target
from samzoo.zoo.tools.readme import folder_text, holding_sentence

ROWS: list[Any] = [
    {"height": 256, "width": 256, "low": 0, "high": 255, "iou": 0.772},
    {"height": 1024, "width": 1024, "low": 20, "high": 120, "iou": 0.177},
]


def text(target, *, license="Apache-2.0", ais=None, decoder=None, **preprocessing):
    config = tiny.make_config("vit_1024", ais=False, **preprocessing)
    if decoder is not None:
        architecture = dataclasses.replace(config.architecture, ais_decoder=decoder)
        config = dataclasses.replace(config, architecture=architecture)
    config = dataclasses.replace(config, ais=ais or config.ais)
    manifest = Manifest(name="cells", model=config, files=(), license=license)
    source = Source(config=config, tensors={}, manifest=manifest)
    found = get_target(target)
    assert found.path is not None
    return folder_text(found, found.path, source, ROWS)


@pytest.mark.parametrize("target", ["segment-anything", "huggingface"])
def test_python_tools_get_the_lines_that_prepare_an_image(target):
    written = text(target, intensity="percentile", percentiles=(0.1, 99.9), gamma=0.7)
    code = written.partition("```python\n")[2].partition("```")[0]
    import numpy as np

    from samzoo.runtime.images.intensity import to_0_255

    rng = np.random.default_rng(0)
    image = rng.integers(20, 121, (40, 50)).astype(np.uint8)
    names: dict[str, Any] = {"np": np, "image": image}
    exec(code, names)
    config = tiny.make_config("vit_1024", intensity="percentile", percentiles=(0.1, 99.9))
    stretched = to_0_255(image, config.preprocessing)[..., 0]
    expected = 255 * (stretched / 255.0) ** 0.7
    assert np.abs(names["image"] - expected).max() <= 1


def test_menus_are_named_for_tools_without_code():
    assert "View > Brightness/Contrast" in text("qupath", intensity="min_max")
    written = text("label-studio", intensity="percentile", percentiles=(0.5, 99.0), gamma=0.7)
    assert "Process > Enhance Contrast: Saturated pixels 1.5 %, tick Normalize" in written
    assert "Process > Math > Gamma: 0.7" in written


def test_nothing_to_prepare_is_said_too():
    assert "Intensities: nothing to do for 8-bit images." in text("segment-anything")
    assert "trained without that" in text("micro-sam")
    assert "the tool stretches each channel itself" in text("micro-sam", intensity="min_max")
    assert "encoder's graph stretches" in text("osam", intensity="min_max")


def test_a_scale_comes_with_the_measured_sizes():
    written = text("anylabeling", scale=2.0)
    assert "2 model pixels an image pixel" in written
    assert "512 x 512 pixels" in written  # 1024 / 2
    assert "| 256 x 256 | 0 to 255 | 0.772 |" in written
    assert "| 1024 x 1024 | 20 to 120 | 0.177 |" in written
    assert "684 x 1024" in written


def test_sizes_that_hold_are_told_from_those_that_do_not():
    sizes = ((171, 0.95), (256, 0.9), (512, 0.3), (1024, 0.13))
    rows: list[Any] = [
        {"height": side, "width": side, "low": 0, "high": 255, "iou": iou} for side, iou in sizes
    ]
    low: Any = {"height": 99, "width": 99, "low": 20, "high": 120, "iou": 0.5}
    assert holding_sentence([*rows, low]) == (
        "Of the sizes measured, these files hold for 171 x 171 pixels (IoU 0.950) and 256 x 256 "
        "pixels (IoU 0.900); not for 512 x 512 pixels (IoU 0.300) and 1024 x 1024 pixels (IoU "
        "0.130)."
    )
    assert "hold for none; not for 512 x 512" in holding_sentence(rows[2:])
    assert holding_sentence(rows[:1]).endswith("hold for 171 x 171 pixels (IoU 0.950).")


def test_what_is_left_out_is_listed():
    unetr = UnetrDecoderConfig(features=(12, 8, 6, 4))
    ais = AisParameters(center_distance_threshold=0.4)
    assert "cannot hold its AIS decoder (unetr)" in text("osam", decoder=unetr)
    written = text("micro-sam", decoder=unetr, ais=ais)
    assert "cannot hold its AIS decoder" not in written
    assert "center_distance_threshold=0.4" in written


def test_the_licence_is_carried_along_and_hugging_face_can_read_it():
    assert "Licence: Apache-2.0." in text("segment-anything")
    assert "Licence: not declared." in text("osam", license="")
    header = text("huggingface").split("---")[1]
    assert 'license: "apache-2.0"' in header
    assert 'library_name: "transformers"' in header
