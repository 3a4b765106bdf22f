"""The answer when memory runs out."""

import dataclasses

import pytest
import tiny

from samzoo.training.config import TrainConfig

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytestmark = pytest.mark.torch

from samzoo.training.planning import shortage  # noqa: E402
from samzoo.training.planning.forecast import Forecast  # noqa: E402

CPU = "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."


@pytest.mark.parametrize(
    ("error", "short"),
    [(MemoryError(), True), (RuntimeError(CPU), True), (RuntimeError("shapes differ"), False),
     (torch.OutOfMemoryError("CUDA out of memory."), True), (ValueError("out of memory"), False)],
)  # fmt: skip
def test_errors_of_memory_are_told_from_others(error, short):
    assert shortage.is_shortage(error) is short


def test_what_takes_less_is_listed_and_what_does_not_is_left_out(tmp_path, monkeypatch):
    base = tiny.write_base(tmp_path / "base", tiny.make_sam(tiny.make_config(ais=False)))
    sizes = {"lora": 4, "late_full": 3, "freeze_encoder": 2, "full": 9}

    def quick(_, method, config, machine):
        size = sizes[method] - config.recompute_blocks - (config.batch_size == 1)
        return Forecast(method, 1, size * 2**30, 1, False, None, False, None, None)

    monkeypatch.setattr(shortage, "forecast_of", quick)
    config = TrainConfig(batch_size=2, hyperparameters={"rank": 2})
    told = shortage.what_takes_less(base, "lora", config)
    assert told.startswith("out of memory: the method lora with these settings needs about 4.0 GB")
    assert (
        "; less take: batch_size = 1 (3.0 GB), recompute_blocks = true (3.0 GB), "
        "--method freeze_encoder (2.0 GB), --method late_full (3.0 GB). "
    ) in told
    alone = shortage.what_takes_less(
        base, "freeze_encoder", dataclasses.replace(config, batch_size=1, recompute_blocks=True)
    )
    assert "less take" not in alone
