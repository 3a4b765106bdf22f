"""What files for other tools cannot say: every setting, and both pixel statistics."""

import dataclasses

import pytest
import tiny

from samzoo.runtime.formats.architecture import UnetrDecoderConfig
from samzoo.zoo.checkpoints.tools.differences import (
    HUGGINGFACE,
    MICRO_SAM,
    SEGMENT_ANYTHING,
    STRETCHED_BY_TOOL,
    ToolPath,
    holds_decoder,
    lost_answers,
    lost_decoder,
    lost_settings,
    preparation_sentence,
)

GRAPH = ToolPath(name="osam", graphs=True)


@pytest.mark.parametrize(
    ("settings", "path", "lost"),
    [
        ({}, SEGMENT_ANYTHING, []),
        ({"intensity": "min_max"}, SEGMENT_ANYTHING, ["intensity min_max"]),
        ({"intensity": "min_max"}, HUGGINGFACE, ["intensity min_max"]),
        ({"intensity": "min_max"}, MICRO_SAM, []),
        ({}, MICRO_SAM, [STRETCHED_BY_TOOL]),
        ({"intensity": "min_max", "gamma": 0.7}, GRAPH, []),
        (
            {"intensity": "percentile", "percentiles": (0.1, 99.9), "gamma": 0.7, "scale": 1.5},
            MICRO_SAM,
            ["intensity percentile 0.1 to 99.9", "gamma 0.7", "scale 1.5"],
        ),
        ({"scale": 1.5}, GRAPH, ["scale 1.5"]),
        ({"pixel_std": (255.0, 255.0, 255.0)}, SEGMENT_ANYTHING, []),  # folded
        ({"pixel_std": (255.0, 255.0, 255.0)}, HUGGINGFACE, []),  # in the processor
    ],
)
def test_each_setting_is_lost_where_the_tool_cannot_say_it(settings, path, lost):
    config = tiny.make_config("vit", **settings)
    assert lost_settings(config, path) == lost
    assert bool(preparation_sentence(config, path)) == bool(lost)


def test_lite_medsams_plain_file_loses_its_statistics():
    config = tiny.make_config("tiny_vit", wider=True, pixel_std=(255.0, 255.0, 255.0))
    (lost,) = lost_settings(config, SEGMENT_ANYTHING)
    assert "pixel_std (255.0, 255.0, 255.0)" in lost


def test_a_decoder_is_held_by_micro_sam_alone():
    light = tiny.make_config("vit")
    unetr = dataclasses.replace(
        light,
        architecture=dataclasses.replace(light.architecture, ais_decoder=UnetrDecoderConfig()),
    )
    assert holds_decoder(unetr, MICRO_SAM)
    assert lost_decoder(unetr, MICRO_SAM) == ""
    for config, path in ((light, MICRO_SAM), (unetr, HUGGINGFACE), (unetr, GRAPH)):
        assert not holds_decoder(config, path)
        assert config.architecture.ais_decoder.type in lost_decoder(config, path)
    assert lost_decoder(tiny.make_config("vit", ais=False), GRAPH) == ""


def test_a_model_with_one_mask_for_a_point_is_told_how_to_ask():
    single = tiny.make_config("vit", ais=False, point_output="single")
    sentence = lost_answers(single, SEGMENT_ANYTHING)[-1]
    assert "multimask_output=False" in sentence
    assert lost_answers(single, GRAPH) == []
