"""Settings: presets, files, and what is out of range."""

import dataclasses
import tomllib
from pathlib import Path

import pytest

from samzoo.runtime.errors import FormatError, NotFoundError
from samzoo.runtime.formats.architecture import LightDecoderConfig, UnetrDecoderConfig
from samzoo.runtime.formats.config import PERCENTILES, Preprocessing
from samzoo.runtime.formats.fields import from_json, to_json
from samzoo.training.config import PRESETS, Intensities, TrainConfig


def test_the_paper_preset_is_the_default_with_augmentation():
    paper = TrainConfig.read("paper")
    plain = dataclasses.replace(
        paper, intensity_jitter=0.0, intensities=Intensities(), scale_by_image=False,
        scale_jitter=1.0, percentiles=None, first_points=1,
    )  # fmt: skip
    assert plain == TrainConfig(batch_size=2, recompute_blocks="auto")


def test_what_the_presets_share_and_what_only_long_training_learns():
    laptop, paper = TrainConfig.read("laptop"), TrainConfig.read("paper")
    assert min(vars(paper.intensities).values()) > 0
    assert paper.intensity_jitter > 0
    assert paper.scale_jitter > 1
    assert laptop.intensities == Intensities()
    assert (laptop.intensity_jitter, laptop.scale_jitter) == (0, 1)
    assert laptop.first_points == paper.first_points > 1
    assert laptop.percentiles == paper.percentiles == PERCENTILES
    assert laptop.scale_by_image is paper.scale_by_image is True


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.toml")), ids=lambda path: path.stem)
def test_each_preset_can_be_read_by_name_and_by_path(path):
    assert TrainConfig.read(path.stem) == TrainConfig.read(str(path))


@pytest.mark.parametrize("chance", [-0.1, 1.1])
def test_a_change_of_intensities_has_a_probability(tmp_path, chance):
    (tmp_path / "a.toml").write_text(f"[intensities]\nblur = {chance}\n")
    with pytest.raises(FormatError, match=r"intensities.blur: allowed is a probability, 0 to 1"):
        TrainConfig.read(str(tmp_path / "a.toml"))


def test_a_file_replaces_what_it_names(tmp_path):
    (tmp_path / "a.toml").write_text(
        "epochs = 3\nais_decoder = {type = 'light', channels = [8, 6, 4]}\n"
        "[hyperparameters]\nrank = 4\n[preprocessing]\nscale = 2\n"
    )
    config = TrainConfig.read(str(tmp_path / "a.toml"))
    assert config == TrainConfig(
        epochs=3,
        ais_decoder=LightDecoderConfig(channels=(8, 6, 4)),
        hyperparameters={"rank": 4},
        preprocessing=Preprocessing(scale=2.0),
    )


def test_settings_survive_json():
    config = TrainConfig(hyperparameters={"rank": 4}, preprocessing=Preprocessing(gamma=0.5))
    assert from_json(TrainConfig, to_json(config), where="x") == config


def test_an_unknown_key_lists_the_known_ones(tmp_path):
    (tmp_path / "a.toml").write_text("epoch = 3\n")
    with pytest.raises(FormatError, match=r"a.toml: unknown key 'epoch', allowed: .*epochs"):
        TrainConfig.read(str(tmp_path / "a.toml"))


def test_an_unknown_name_lists_the_presets():
    with pytest.raises(NotFoundError, match="neither a file nor a preset; presets: laptop, paper"):
        TrainConfig.read("laptpo")
    with pytest.raises(NotFoundError, match="neither a file nor a preset"):
        TrainConfig.read("../presets/laptop")


@pytest.mark.parametrize(
    "content", [b"epochs = = 3", b"\xff\xfe", b"a = " + b"[" * 2000, b"a = 1\na = 2"]
)
def test_a_file_that_is_not_toml_is_an_error(tmp_path, content):
    (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(FormatError, match=r"a.toml: not a TOML file"):
        TrainConfig.read(str(tmp_path / "a.toml"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 0}, "epochs: must be at least 1, found 0"),
        ({"steps_per_epoch": 0}, "steps_per_epoch"),
        ({"n_objects": 0}, "n_objects"),
        ({"n_sub_iteration": 0}, "n_sub_iteration"),
        ({"first_points": 0}, "first_points: must be at least 1, found 0"),
        ({"learning_rate": 0.0}, "learning_rate: allowed is 0 to 1, found 0"),
        ({"ais_learning_rate": 1.0}, "ais_learning_rate"),
        ({"mask_prob": 1.1}, "mask_prob: allowed is 0 to 1, found 1.1"),
        ({"ema_decay": -0.1}, "ema_decay"),
        ({"corrections_after": 2.0}, "corrections_after: allowed is 0 to 1"),
        ({"freeze_encoder_after": -1.0}, "freeze_encoder_after: allowed is 0 to 1"),
        ({"early_stopping": -1}, "early_stopping: must not be negative"),
        ({"max_minutes": -1.0}, "max_minutes"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"intensity_jitter": -1.0}, "intensity_jitter"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**70}, "seed: allowed is 0 to 9223372036854775807, found 1180"),
        ({"object_diameter": -1.0}, "object_diameter"),
        ({"percentiles": (50.0, 50.0)}, "percentiles: expected 0 <= low < high <= 100, found 50"),
        (
            {"percentiles": (1.0, 99.0), "preprocessing": Preprocessing()},
            "percentiles and preprocessing: give only one of them",
        ),
        ({"scale_jitter": 0.5}, r"scale_jitter: allowed is 1 \(off\) to 4, found 0.5"),
        ({"scale_jitter": 5.0}, r"scale_jitter: allowed is 1 \(off\) to 4, found 5"),
        (
            {"object_diameter": 30.0, "preprocessing": Preprocessing(scale=2.0)},
            "object_diameter and preprocessing.scale: give only one of them",
        ),
        ({"validation_images": -1}, "validation_images: must not be negative, found -1"),
        ({"validation_objects": -1}, "validation_objects"),
        ({"box_distortion_factor": 0.5}, "box_distortion_factor: allowed is 0 to 0.5"),
        ({"validation_tasks": ()}, "validation_tasks: name at least one task"),
    ],
)
def test_values_out_of_range_are_errors(given, message):
    with pytest.raises(FormatError, match=message):
        TrainConfig(**given)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('scheduler = "linear"', "scheduler: found 'linear', allowed: 'plateau', 'cosine'"),
        ('epochs = "3"', "epochs: expected int, found '3'"),
        ("epochs = true", "epochs: expected int, found True"),
        ("learning_rate = nan", "learning_rate: expected a finite number"),
        ("epochs = 0", "a.toml: epochs: must be at least 1"),
    ],
)
def test_values_of_the_wrong_kind_name_file_and_field(tmp_path, text, message):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(FormatError, match=message):
        TrainConfig.read(str(tmp_path / "a.toml"))


def test_another_ais_decoder_replaces_the_one_of_the_config():
    config = TrainConfig(ais_decoder=LightDecoderConfig(channels=(8, 6, 4)))
    assert config.with_ais_decoder("unetr").ais_decoder == UnetrDecoderConfig()
    assert config.with_ais_decoder("light").ais_decoder == LightDecoderConfig()
    assert config.with_ais_decoder("unetr").validation_tasks == ("ais", "point", "box")


def test_without_an_ais_decoder_the_task_leaves_the_validation():
    config = TrainConfig().with_ais_decoder("none")
    assert config.ais_decoder is None
    assert config.validation_tasks == ("point", "box")


IN_WORDS = {
    "ais_decoder": "light", "preprocessing": "the base's", "ais": "0.5 and so on",
    "intensities": "all 0", "percentiles": "the base's",
}  # fmt: skip
"""Defaults that are no single value."""


def test_the_page_about_training_lists_every_key_with_its_default():
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    cells = (line.split("|") for line in page.splitlines() if line.startswith("| `"))
    lines = [found for found in cells if len(found) == 7]
    rows = {key.strip(" `"): default.strip() for _, key, _, _, default, _, _ in lines}
    defaults = TrainConfig()
    assert [*rows] == [f.name for f in dataclasses.fields(TrainConfig)]
    for key, default in rows.items():
        if key in IN_WORDS:
            assert default == IN_WORDS[key]
            continue
        read = tomllib.loads(f"{key} = {default.strip('`')}")[key]
        found = getattr(defaults, key)
        assert (tuple(read) if isinstance(found, tuple) else read) == found


def test_the_page_about_training_lists_every_change_of_intensities_with_the_presets_value():
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.endswith("` |")]
    found = {row[1].strip("`"): row[-1].strip("` |") for row in rows if len(row) == 4}
    for name, value in vars(TrainConfig.read("paper").intensities).items():
        assert float(found[name]) == value


def test_the_presets_are_bound_by_steps():
    for preset in ("laptop", "paper"):
        assert TrainConfig.read(preset).max_minutes == 0
