"""The cost of a step, held against the tensors of real steps with every method."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import tiny

from samzoo.runtime.formats.config import ModelConfig, Preprocessing
from samzoo.training.config import TrainConfig
from samzoo.training.methods import METHODS, get_method

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytestmark = pytest.mark.torch

from samzoo.training.data.annotated import Annotated  # noqa: E402
from samzoo.training.fit.run import Run  # noqa: E402
from samzoo.training.planning.ledger import Ledger  # noqa: E402
from samzoo.training.planning.step_cost import cost_of_step  # noqa: E402

CONFIG = TrainConfig(
    epochs=1,
    steps_per_epoch=4,
    n_objects=4,
    n_sub_iteration=3,
    mask_prob=1.0,
    ais_decoder=tiny.AIS_DECODER,
    preprocessing=Preprocessing(scale=1.0),
    cached_crops=0,
)

TOLERANCE = 0.15
"""Of the bytes in use: the plan's promise."""


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    return {
        name: tiny.write_base(folder / name, tiny.make_sam(tiny.make_config(name, ais=False)))
        for name in tiny.ENCODERS
    }


def changed(**changes: Any) -> TrainConfig:
    return dataclasses.replace(CONFIG, **changes)


def real_peak(base, method, config, folder):
    """The most bytes of tensors in the second and third step of a real run."""
    image, labels = tiny.make_cells((80, 90), 0)
    other, truth = tiny.make_cells((64, 64), 1)
    with Ledger() as ledger:
        run = Run(
            base, [Annotated(image, labels, "a")], [Annotated(other, truth, "b")], method, config,
            folder,
        )  # fmt: skip
        run.step()
        ledger.start()
        run.step()
        run.step()
    return ledger.peak


def planned(base, method, config, **options):
    row = get_method(method)
    return cost_of_step(
        ModelConfig.read(base / "config.json"), row, row.settings(config.hyperparameters), config,
        **options,
    )  # fmt: skip


FAST = (("vit", "lora"), ("vit", "full"), ("tiny_vit", "freeze_encoder"))
"""What is tried by default; a real step of a method takes about a second."""

CASES = [
    pytest.param(base, method, marks=[] if (base, method) in FAST else [pytest.mark.slow])
    for base in tiny.ENCODERS
    for method in METHODS
]


@pytest.mark.parametrize(("base", "method"), CASES)
def test_the_memory_is_that_of_real_steps(bases, tmp_path, base, method):
    if get_method(method).quantized is not None:
        pytest.importorskip("bitsandbytes")
    found = real_peak(bases[base], method, CONFIG, tmp_path / "run")
    cost = planned(bases[base], method, CONFIG)
    assert cost.peak == pytest.approx(found, rel=TOLERANCE)


@pytest.mark.parametrize(
    "changes",
    [{"batch_size": 2, "recompute_blocks": True}, *(
        pytest.param(changes, marks=pytest.mark.slow) for changes in (
            {"batch_size": 2}, {"recompute_blocks": True}, {"ais_decoder": tiny.UNETR_DECODER},
            {"ais_decoder": None}, {"n_objects": 8}, {"ema_decay": 0.9}, {"point_output": "single"},
        )
    )],
    ids=str,
)  # fmt: skip
def test_settings_count_as_in_real_steps(bases, tmp_path, changes):
    config = changed(**changes)
    if config.ais_decoder is None:
        config = dataclasses.replace(config, validation_tasks=("box",))
    found = real_peak(bases["vit"], "full", config, tmp_path / "run")
    assert planned(bases["vit"], "full", config).peak == pytest.approx(found, rel=TOLERANCE)


def test_the_work_of_the_frozen_part_is_told_from_the_rest(bases):
    frozen = planned(bases["vit"], "freeze_encoder", CONFIG)
    full = planned(bases["vit"], "full", CONFIG)
    assert full.frozen.flops == 0 < frozen.frozen.flops
    assert full.rest.flops > frozen.frozen.flops + frozen.rest.flops
    assert frozen.trained < full.trained <= full.weights < full.peak


def test_more_rounds_take_more_work_and_those_that_nobody_learns_from_less(bases):
    work = [
        planned(bases["vit"], "freeze_encoder", changed(**changes)).rest.flops
        for changes in (
            {"n_sub_iteration": 4}, {"n_sub_iteration": 8, "learned_rounds": 4},
            {"n_sub_iteration": 8},
        )
    ]  # fmt: skip
    assert work == sorted(work)
    assert len(set(work)) == 3


def test_accumulation_takes_more_work_and_no_more_memory(bases):
    once, thrice = (
        planned(bases["vit"], "lora", dataclasses.replace(CONFIG, accumulate=n)) for n in (1, 3)
    )
    assert np.isclose(thrice.rest.flops, 3 * once.rest.flops)
    assert thrice.peak == once.peak
