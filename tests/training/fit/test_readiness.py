"""Before torch is imported: settings without effect, what the base lacks, what is missing."""

import dataclasses
import sys

import pytest
import tiny

from samzoo.runtime.errors import (
    FormatError,
    InputError,
    MissingDependencyError,
    NotFoundError,
    OutputExistsError,
)
from samzoo.runtime.formats.architecture import UnetrDecoderConfig
from samzoo.runtime.formats.shapes import tensor_shapes
from samzoo.training.config import TrainConfig
from samzoo.training.fit.readiness import LAST, check_settings


@pytest.fixture
def check(tmp_path):
    """Check the settings of a run on a tiny base, with or without an AIS decoder."""
    if "torch" in sys.modules:
        pytest.importorskip("lightning_fabric")

    def check(*, ais=True, method="lora", resume=False, base=None, **changes):
        config = tiny.make_config("vit", ais=ais)
        folder = tmp_path / f"base-{ais}"
        if not folder.exists():
            weights = tiny.seeded_weights(tensor_shapes(config.architecture))
            tiny.write_weights(folder, config, weights)
        return check_settings(
            base=base or folder, method=method, config=TrainConfig(**changes),
            output=tmp_path / "run", resume=resume,
        )[0]  # fmt: skip

    return check


@pytest.mark.torch
def test_the_presets_are_ready_for_every_method(check):
    pytest.importorskip("torch")
    pytest.importorskip("lightning_fabric")
    for preset in ("laptop", "paper"):
        config = TrainConfig.read(preset)
        given = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
        for method in ("lora", "freeze_encoder", "full"):
            assert check(method=method, **given).architecture == tiny.make_config().architecture


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "freeze_encoder", "freeze_encoder_after": 0.5},
         "freeze_encoder_after: found 0.5, but the method freeze_encoder never trains"),
        ({"n_sub_iteration": 1, "learned_rounds": 1}, "learned_rounds: found 1, but n_sub_iter"),
        ({"n_sub_iteration": 1, "corrections_after": 0.4}, "corrections_after: found 0.4, but"),
        ({"n_sub_iteration": 1, "mask_prob": 1.0}, "mask_prob: found 1.0, but n_sub_iteration"),
        ({"method": "lora", "cached_crops": 4}, "found 4, but the method lora trains"),
        ({"method": "bias", "cached_crops": 0}, "found 0, but the method bias trains"),
        ({"n_sub_iteration": 3, "learned_rounds": 4}, "learned_rounds: found 4, allowed are 0 to"),
        ({"ais_decoder": UnetrDecoderConfig()}, "has its own AIS decoder, which training cont"),
        ({"corrections_after": 1.0, "mask_prob": 0.2}, "mask_prob: found 0.2, but corrections_af"),
        ({"validation_tasks": ("ais",), "validation_objects": 4}, "found 4, but no task of val"),
        ({"ais_decoder": None, "ais_learning_rate": 0.1}, "ais_learning_rate: found 0.1, but the"),
    ],
)  # fmt: skip
def test_a_setting_that_this_run_would_not_use_is_refused(check, changes, message):
    with pytest.raises(InputError, match=message):
        check(**changes)


@pytest.mark.torch
def test_cached_crops_are_used_by_methods_that_begin_late_or_stop_early(check):
    pytest.importorskip("torch")
    pytest.importorskip("lightning_fabric")
    for method in ("late_lora", "late_full", "freeze_encoder"):
        check(method=method, cached_crops=4)
    check(method="lora", cached_crops=4, hyperparameters={"blocks": [1]})
    check(method="lora", cached_crops=4, freeze_encoder_after=0.5)


@pytest.mark.torch
def test_a_base_without_decoder_takes_any_and_one_with_its_own_takes_that(check):
    pytest.importorskip("torch")
    pytest.importorskip("lightning_fabric")
    check(ais=False, ais_decoder=UnetrDecoderConfig())
    check(ais_decoder=tiny.AIS_DECODER)
    check(ais_decoder=None, validation_tasks=("box",))


def test_what_is_missing_or_damaged_is_told_by_its_file(check, tmp_path):
    with pytest.raises(NotFoundError, match=r"gone/config\.json: no such file"):
        check(base=tmp_path / "gone")
    with pytest.raises(NotFoundError, match=f"{LAST}: no such file; there is no run to resume"):
        check(resume=True)
    with pytest.raises(FormatError, match="config: hyperparameters: unknown key 'rang'"):
        check(hyperparameters={"rang": 4})


@pytest.mark.torch
def test_a_folder_without_a_checkpoint_can_hold_what_a_killed_run_left(check, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("lightning_fabric")
    for name in ("checkpoints/.last.0000001.part.safetensors", "cache/0.npy"):
        path = tmp_path / "run" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    check()
    (tmp_path / "run" / "checkpoints" / "best.safetensors").touch()
    with pytest.raises(OutputExistsError, match="exists already"):
        check()


def test_a_missing_package_is_told_by_its_extra(check, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependencyError, match="'torch', which is not installed"):
        check()
