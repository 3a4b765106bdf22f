"""The walk over the settings of a run: each changes what a run of four steps makes, or is refused.

A key that ``TrainConfig`` gets must be added here: the first test compares.
"""

import dataclasses
import json
from typing import Any

import pytest
import tiny

from samzoo.runtime.errors import ImageError
from samzoo.runtime.formats.config import AisParameters, Preprocessing
from samzoo.runtime.formats.files import read_json, read_tensors
from samzoo.training.config import Intensities, TrainConfig

pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytestmark = pytest.mark.torch

from samzoo.training.data.annotated import Annotated  # noqa: E402
from samzoo.training.fit.loop import train  # noqa: E402

PLAIN = TrainConfig(
    hyperparameters={"rank": 2},
    epochs=2,
    steps_per_epoch=2,
    early_stopping=0,
    learning_rate=1e-3,
    ais_learning_rate=1e-3,
    n_objects=3,
    n_sub_iteration=3,
    ais_decoder=tiny.AIS_DECODER,
    search_ais=False,
    precision="32-true",
    validation_tasks=("box",),
    preprocessing=Preprocessing(scale=1.0),
)

CHANGES: dict[str, Any] = {
    "hyperparameters": {"rank": 3},
    "epochs": 3,
    "steps_per_epoch": 1,
    "early_stopping": 1,
    "max_minutes": 1e-6,
    "learning_rate": 2e-3,
    "ais_learning_rate": 2e-3,
    "weight_decay": 0.5,
    "scheduler": "cosine",
    "ema_decay": 0.5,
    "batch_size": 2,
    "accumulate": 2,
    "n_objects": 2,
    "n_sub_iteration": 2,
    "learned_rounds": 1,
    "corrections_after": 0.5,
    "freeze_encoder_after": 0.25,
    "cached_crops": 1,
    "mask_prob": 1.0,
    "box_distortion_factor": 0.3,
    "first_points": 3,
    "point_output": "single",
    "ais_decoder": tiny.UNETR_DECODER,
    "augmentation": "none",
    "intensity_jitter": 1.0,
    "intensities": Intensities(contrast=1.0),
    "precision": "bf16-mixed",
    "seed": 1,
    "preprocessing": Preprocessing(scale=1.2),
    "percentiles": (5.0, 95.0),
    "object_diameter": 20.0,
    "scale_by_image": True,
    "scale_jitter": 1.6,
    "ais": AisParameters(foreground_threshold=0.9),
    "search_ais": True,
    "validation_tasks": ("point",),
    "min_object_size": 150,
    "validation_images": 1,
    "validation_objects": 1,
}

SAVES_MEMORY = ("recompute_blocks",)
"""Settings whose results are equal by design; ``test_learner.py`` holds them."""

BESIDE: dict[str, dict[str, Any]] = {
    "percentiles": {"preprocessing": None},
    "object_diameter": {"preprocessing": Preprocessing()},
    "cached_crops": {"freeze_encoder_after": 0.25},
    "early_stopping": {"epochs": 6, "learning_rate": 1e-9},
}
"""Settings that a key needs to have an effect; what it is compared with has them too."""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """Train, and return all that a run leaves except its times; equal settings are run once."""
    folder = tmp_path_factory.mktemp("walk")
    base = tiny.write_base(folder / "base", tiny.make_sam(tiny.make_config("vit", ais=False)))
    images = []
    for seed in (1, 2, 3):
        image, labels = tiny.make_cells((48, 48), seed)
        images.append(Annotated(image, labels, f"{seed}"))
    known: dict[str, Any] = {}

    def run(**changes):
        config = dataclasses.replace(PLAIN, **changes)
        if repr(config) not in known:
            output = folder / str(len(known))
            try:
                scores = train(
                    base=base, train_data=images[:1], val_data=images[1:], method="lora",
                    config=config, output=output,
                )  # fmt: skip
            except ImageError as error:
                return str(error)
            adapter = read_json(output / "adapter_config.json")
            tensors = read_tensors(output / "adapter_model.safetensors")
            log = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
            known[repr(config)] = {
                "scores": scores,
                "by epoch": [(line["epoch"], line["validated"], line["score"]) for line in log],
                "steps": adapter["source"]["training"]["steps"],
                "model": {k: adapter[k] for k in ("architecture", "preprocessing", "ais")},
                "tensors": {name: value.tobytes() for name, value in tensors.items()},
            }
        return known[repr(config)]

    return run


def test_every_setting_is_tried():
    names = [field.name for field in dataclasses.fields(TrainConfig)]
    assert list(CHANGES) == [name for name in names if name not in SAVES_MEMORY]


@pytest.mark.parametrize("name", CHANGES)
def test_a_setting_changes_what_the_run_makes(outcome, name):
    beside = BESIDE.get(name, {})
    assert outcome(**{**beside, name: CHANGES[name]}) != outcome(**beside)


def test_the_smallest_object_of_validation_is_used_before_any_step(outcome):
    assert "no object of at least 150 pixels to validate on" in outcome(min_object_size=150)


def test_equal_settings_make_equal_runs(outcome):
    """Else the walk would prove nothing; ``max_minutes`` is never reached."""
    assert outcome(max_minutes=1e6) == outcome()
