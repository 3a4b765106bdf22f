"""Which model is in use: as it was when a call began, and as another process opens it."""

import numpy as np
import pytest

from samzoo.runtime import Model, load
from samzoo.runtime.engine.model_spec import ModelSpec
from samzoo.runtime.loading import open_model


@pytest.fixture
def shared(make_shared_package, tmp_path):
    return load(make_shared_package(tmp_path / "shared"), threads=1)


def test_a_snapshot_keeps_its_adapter(shared):
    first, second = shared.adapters
    shared.use(second)
    before = shared.snapshot()
    shared.use(first)
    assert (before.adapter, before.spec.adapter, before.adapters) == (second, second, ())
    assert before.config is not shared.config
    assert isinstance(before, Model)


def test_a_model_without_adapters_is_its_own_snapshot(toy_model):
    assert toy_model.snapshot() is toy_model
    assert toy_model.spec is None


def test_another_process_opens_the_same_model(shared, tmp_path, discs):
    name = shared.adapters[1]
    shared.use(name)
    assert shared.spec == ModelSpec(str(tmp_path / "shared"), adapter=name, threads=1)
    again = open_model(shared.spec)
    assert again.adapter == name
    image = discs((64, 64), [(20, 20)])
    np.testing.assert_array_equal(again.segment(image), shared.segment(image))
