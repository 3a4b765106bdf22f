"""Configs: a round trip, and a message that names file and field for each wrong value."""

import copy
import json

import pytest

from samzoo.runtime.errors import FormatError, NotFoundError
from samzoo.runtime.formats.architecture import Architecture, LightDecoderConfig, UnetrDecoderConfig
from samzoo.runtime.formats.config import AisParameters, ModelConfig, Preprocessing
from samzoo.runtime.formats.families.tiny_vit import TinyVitConfig
from samzoo.runtime.formats.families.vit import VitConfig
from samzoo.runtime.formats.fields import check_format, from_json

CONFIGS = [
    ModelConfig(architecture=Architecture(image_encoder=VitConfig())),
    ModelConfig(
        architecture=Architecture(
            image_encoder=TinyVitConfig(), ais_decoder=LightDecoderConfig(channels=(8, 4, 2))
        ),
        preprocessing=Preprocessing(
            intensity="percentile", percentiles=(0.1, 99.9), gamma=0.7, scale=2.0
        ),
        ais=AisParameters(min_size=20),
        weights_digest="sha256:0",
        source={"name": "x", "deep": {"list": [1, None, 2.5]}},
    ),
    ModelConfig(
        architecture=Architecture(
            image_encoder=VitConfig(),
            ais_decoder=UnetrDecoderConfig(
                features=(8, 8, 4, 2), upsampling="transposed", batch_norm="batch"
            ),
        )
    ),
]


@pytest.fixture
def valid():
    return copy.deepcopy(json.loads(json.dumps(CONFIGS[1].to_json())))


def read(value, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    return ModelConfig.read(path)


def put(value, path, new):
    *parents, last = path.split(".")
    for key in parents:
        value = value[key]
    value[last] = new


@pytest.mark.parametrize("config", CONFIGS)
def test_a_config_survives_the_file(config, tmp_path):
    assert read(config.to_json(), tmp_path) == config


def test_the_format_comes_first_in_the_file():
    assert next(iter(CONFIGS[0].to_json())) == "format"


@pytest.mark.parametrize(
    ("encoder", "grid"),
    [
        (VitConfig(), 64),
        (TinyVitConfig(), 64),
        (TinyVitConfig(image_size=1024, patch_kernel=3, patch_stride=2), 64),
        (VitConfig(image_size=64, patch_size=4), 16),
    ],
)
def test_the_grid_follows_from_the_numbers(encoder, grid):
    assert ModelConfig(architecture=Architecture(image_encoder=encoder)).grid == grid


def test_whole_numbers_are_accepted_where_floats_are_asked_for(valid, tmp_path):
    put(valid, "preprocessing.gamma", 1)
    gamma = read(valid, tmp_path).preprocessing.gamma
    assert (gamma, type(gamma)) == (1.0, float)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format.name", "samzoo-package", "format: expected 'samzoo-model', found"),
        ("format.version", 2, "format.version is 2, this samzoo reads up to 1; "),
        ("format.version", True, "format.version: expected a number, found True"),
        ("format.version", 0, "format.version: expected a number, found 0"),
        ("format", None, "format: expected 'samzoo-model', found None"),
        ("colour", 1, "unknown key 'colour', allowed: ais, architecture"),
        ("architecture.image_encoder.type", "swin", r"type: found 'swin', allowed: vit, tiny_vit"),
        ("architecture.image_encoder", None, "image_encoder.type: found None"),
        ("architecture.image_encoder.image_size", 0, "image_size: must be positive, found 0"),
        ("architecture.image_encoder.image_size", 10**6, "image_size: found 1000000, which makes"),
        ("architecture.image_encoder.image_size", 2, "embeddings of 0 x 0"),
        ("architecture.image_encoder.image_size", 256.5, "image_size: expected int, found 256.5"),
        ("architecture.image_encoder.strides", [2, 2, 0], "strides: must be positive"),
        ("architecture.image_encoder.strides", [2, 2], "strides: expected 3 numbers for 4 stages"),
        ("architecture.image_encoder.depths", 3, "depths: expected a list, found 3"),
        ("architecture.ais_decoder.channels", [1, 2], "channels: expected 3 numbers, found 2"),
        ("architecture.ais_decoder.type", "unet", "type: found 'unet', allowed: light, unetr"),
        ("preprocessing.intensity", "log", "found 'log', allowed: 'none', 'min_max', 'percentile'"),
        ("preprocessing.percentiles", [50, 50], "expected 0 <= low < high <= 100, found 50"),
        ("preprocessing.gamma", 0, "gamma: must be positive"),
        ("preprocessing.gamma", "1", "gamma: expected float, found '1'"),
        ("preprocessing.gamma", 10**400, "gamma: expected a finite number"),
        ("preprocessing.scale", 0, "scale: allowed is 0.01 to 100 or null, found 0"),
        ("preprocessing.pixel_std", [1, 0, 1], "pixel_std: must be positive"),
        ("preprocessing.pixel_mean", [1, True, 1], r"pixel_mean\[1\]: expected float, found True"),
        ("ais.min_size", -1, "ais.min_size: must not be negative"),
        ("ais.distance_smoothing", 1e9, "distance_smoothing: allowed is 0 to 100"),
        ("ais", [], "ais: expected an object, found"),
        ("source", "x", "source: expected an object, found 'x'"),
        ("weights_digest", 5, "weights_digest: expected str, found 5"),
    ],
)
def test_a_wrong_value_is_refused_by_file_and_field(valid, tmp_path, path, value, message):
    put(valid, path, value)
    with pytest.raises(FormatError, match=message) as caught:
        read(valid, tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "config.json"))


def test_a_missing_key_is_named(valid, tmp_path):
    del valid["architecture"]
    with pytest.raises(FormatError, match=r"missing .* 'architecture'"):
        read(valid, tmp_path)


def test_heads_must_divide_the_channels():
    with pytest.raises(FormatError, match="embed_dim 10 is not a multiple of num_heads 3"):
        VitConfig(embed_dim=10, num_heads=3)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(NotFoundError, match=r"config\.json: no such file"):
        ModelConfig.read(tmp_path / "config.json")


def test_values_of_messages_are_escaped_and_cut():
    with pytest.raises(FormatError) as caught:
        from_json(ModelConfig, {"\x1b[31m" + "x" * 10_000: 1}, where="f")
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("value", [{}, {"format": []}, {"format": "samzoo-model"}])
def test_a_format_that_is_no_object_is_refused(value):
    with pytest.raises(FormatError, match=r"^here: format: expected 'samzoo-model'"):
        check_format(value, "samzoo-model", 1, where="here")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("features", [4, 4, 4], "features: expected 4 numbers, found 3"),
        ("features", [4, 4, 4, 0], "ais_decoder.features: must be positive"),
        ("features", [4, 8, 4, 2], "ais_decoder.features: must not grow from one level"),
        ("upsampling", "nearest", "found 'nearest', allowed: 'bilinear', 'transposed'"),
        ("batch_norm", "eval", "found 'eval', allowed: 'running', 'batch'"),
        ("channels", [1], "unknown key 'channels', allowed: batch_norm, features"),
    ],
)
def test_a_wrong_decoder_is_refused(tmp_path, key, value, message):
    config = json.loads(json.dumps(CONFIGS[2].to_json()))
    config["architecture"]["ais_decoder"][key] = value
    with pytest.raises(FormatError, match=message):
        read(config, tmp_path)
