"""The moving average of weights, and that it goes in and out of the model unchanged."""

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from samzoo.training.fit.average import WeightAverage  # noqa: E402


@pytest.fixture
def weights():
    torch.manual_seed(0)
    return {"a": torch.nn.Parameter(torch.randn(3)), "b": torch.nn.Parameter(torch.randn(2, 2))}


def test_the_average_starts_short_and_reaches_its_decay(weights):
    average = WeightAverage(weights, 0.9)
    expected = weights["a"].detach().double()
    for step in range(1, 121):
        with torch.no_grad():
            weights["a"].add_(0.1)
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weights["a"].detach().double()
    torch.testing.assert_close(average.values["a"].double(), expected, rtol=1e-5, atol=1e-5)


def test_within_the_block_the_model_is_the_average_and_afterwards_what_it_was(weights):
    average = WeightAverage(weights, 0.9)
    with torch.no_grad():
        weights["a"].add_(1.0)
    average.update(1)
    before = {n: p.detach().clone() for n, p in weights.items()}
    assert not torch.equal(average.values["a"], before["a"])
    with average.in_place():
        assert all(torch.equal(weights[n], v) for n, v in average.values.items())
    with pytest.raises(KeyboardInterrupt), average.in_place():
        raise KeyboardInterrupt
    assert all(torch.equal(weights[n], v) for n, v in before.items())


def test_the_best_weights_are_the_average_where_there_is_one(weights):
    average = WeightAverage(weights, 0.9)
    with torch.no_grad():
        weights["a"].add_(1.0)
    best = average.best_weights()
    assert set(best) == set(weights)
    assert torch.equal(best["a"], average.values["a"])
    assert WeightAverage(weights, 0.0).best_weights()["a"] is weights["a"]


def test_without_decay_nothing_is_kept_or_changed(weights):
    average = WeightAverage(weights, 0.0)
    average.update(1)
    assert average.values == {}
    with average.in_place():
        assert average.values == {}
