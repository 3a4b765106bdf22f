"""The plan as rows and as a table."""

import dataclasses

import pytest
import tiny

from samzoo.runtime.errors import InputError, NotFoundError
from samzoo.training.config import TrainConfig

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytestmark = pytest.mark.torch

from samzoo.training.planning import machine  # noqa: E402
from samzoo.training.planning.forecast import Forecast  # noqa: E402
from samzoo.zoo.reports.training_plan import gigabytes, plan_of_training  # noqa: E402

CONFIG = TrainConfig(n_objects=2, n_sub_iteration=2, ais_decoder=tiny.AIS_DECODER)
GB = 2**30


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny.write_base(
        tmp_path_factory.mktemp("bases") / "base", tiny.make_sam(tiny.make_config(ais=False))
    )


@pytest.fixture
def short_of_memory(monkeypatch):
    there = machine.Machine("cpu", "2 cores", 8 * GB, 0, 0)
    monkeypatch.setattr(machine, "this_machine", lambda: there)


def test_all_methods_have_a_row_and_one_is_recommended(base, monkeypatch):
    from samzoo.training.planning import forecast as module

    def quick(config, method, *_):
        return Forecast(method, 10**6, 2 * GB, GB, True, None, True, 1.0, 0.5)

    monkeypatch.setattr(module, "forecast_of", quick)
    plan = plan_of_training(base, CONFIG)
    assert len(plan["methods"]) == 13
    assert plan["recommended"] == "freeze_encoder"
    assert "Take --method freeze_encoder" in plan["text"]
    assert "estimated" in plan["text"]


def test_one_method_is_not_recommended_but_planned(base):
    plan = plan_of_training(base, CONFIG, method="lora")
    (row,) = plan["methods"]
    assert row["method"] == "lora"
    assert plan["recommended"] is None
    assert gigabytes(row["memory"]) in plan["text"]


def test_what_does_not_fit_is_said(base, short_of_memory):
    plan = plan_of_training(base, CONFIG, method="full")
    assert "no, nor with recompute_blocks (" in plan["text"]
    assert "unknown" in plan["text"]  # seconds


def test_another_image_size_takes_another_memory(base):
    small, large = (
        plan_of_training(base, CONFIG, method="lora", image_size=size) for size in (64, 96)
    )
    assert large["image_size"] == 96
    assert large["methods"][0]["model_memory"] > small["methods"][0]["model_memory"]
    with pytest.raises(InputError, match="image size"):
        plan_of_training(base, CONFIG, image_size=65)


def test_hyperparameters_need_their_method(base):
    config = dataclasses.replace(CONFIG, hyperparameters={"rank": 2})
    with pytest.raises(InputError, match="name it with --method"):
        plan_of_training(base, config)
    assert plan_of_training(base, config, method="lora")["methods"]


def test_a_base_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(NotFoundError):
        plan_of_training(tmp_path / "none", CONFIG)
    with pytest.raises(InputError, match="did you mean 'lora'"):
        plan_of_training(tmp_path / "none", CONFIG, method="lroa")
