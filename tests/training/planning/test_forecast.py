"""The forecast of each method, and the paper's recommendation."""

import dataclasses

import pytest
import tiny

from samzoo.runtime.errors import FormatError
from samzoo.training.config import TrainConfig

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from samzoo.training.planning.forecast import forecast_of, needed, recommended  # noqa: E402
from samzoo.training.planning.machine import Machine  # noqa: E402
from samzoo.training.planning.step_cost import StepCost, Work  # noqa: E402

GB = 2**30
CONFIG = TrainConfig(n_objects=2, n_sub_iteration=2, ais_decoder=tiny.AIS_DECODER)
CPU = Machine("cpu", "2 cores", 16 * GB, 8 * GB, GB, flops=1e9, bandwidth=1e9)
GPU = Machine("cuda", "card", 8 * GB, 8 * GB, 0)
SERVER = Machine("cuda", "card", 80 * GB, 80 * GB, 0)
BASE = tiny.make_config("vit", ais=False)


@pytest.fixture(scope="module")
def rows():
    return {
        name: forecast_of(BASE, name, CONFIG, CPU)
        for name in ("freeze_encoder", "late_full", "full")
    }


def test_the_process_itself_counts_and_so_does_reading_the_base():
    work = Work(0, 0)
    assert needed(StepCost(100, 1, 1000, work, work), CPU) == GB + 1000
    assert needed(StepCost(100, 1, 150, work, work), CPU) == GB + 300


def test_a_stored_part_is_computed_for_new_crops_alone(rows):
    for name in ("freeze_encoder", "late_full"):
        assert 0 < rows[name].seconds < rows[name].first_seconds
    assert rows["full"].seconds == rows["full"].first_seconds
    unstored = forecast_of(BASE, "late_full", dataclasses.replace(CONFIG, cached_crops=0), CPU)
    assert unstored.seconds == unstored.first_seconds


def test_counts_are_those_of_the_table_of_methods(rows):
    from samzoo.training.methods import get_method
    from samzoo.training.methods.counts import count_trainable

    method = get_method("full")
    counts = count_trainable(method, BASE.architecture, method.defaults, tiny.AIS_DECODER)
    assert rows["full"].trainable == counts.trainable_with_ais_decoder
    prompts = dataclasses.replace(CONFIG, ais_decoder=None, validation_tasks=("box",))
    assert forecast_of(BASE, "full", prompts, CPU).trainable == counts.trainable


def test_what_does_not_fit_is_tried_with_recomputed_blocks(rows):
    full = rows["full"]
    assert full.fits
    assert full.memory_recomputed is None
    low = dataclasses.replace(CPU, free=full.model_memory - 1)
    short = forecast_of(BASE, "full", CONFIG, low)
    assert not short.fits
    assert short.memory_recomputed is not None
    assert short.memory_recomputed <= short.memory
    assert short.fits_recomputed == (short.memory_recomputed <= low.free + low.resident)


@pytest.mark.parametrize(
    ("machine", "name"), [(CPU, "freeze_encoder"), (GPU, "late_full"), (SERVER, "full")]
)
def test_the_recommendation_is_the_papers(rows, machine, name):
    found = recommended(list(rows.values()), machine)
    assert found is not None
    assert found[0] == name


def test_what_does_not_fit_is_not_recommended(rows):
    small = [dataclasses.replace(rows["full"], fits=False), rows["freeze_encoder"]]
    found = recommended(small, SERVER)
    assert found is not None
    assert found[0] == "freeze_encoder"
    assert "full does not fit" in found[1]
    assert recommended([dataclasses.replace(row, fits=False) for row in small], SERVER) is None


def test_settings_are_checked():
    with pytest.raises(FormatError, match="rank"):
        forecast_of(BASE, "lora", dataclasses.replace(CONFIG, hyperparameters={"rank": 0}), CPU)
