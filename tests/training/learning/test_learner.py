"""Batches: that neither their size nor their number changes what is learned from the same crops."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import tiny

from samzoo.runtime.formats.config import Preprocessing
from samzoo.training.config import TrainConfig

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytestmark = pytest.mark.torch

from lightning_fabric import Fabric  # noqa: E402

from samzoo.training.data.annotated import Annotated  # noqa: E402
from samzoo.training.data.samples import prepare  # noqa: E402
from samzoo.training.learning.learner import Learner  # noqa: E402
from samzoo.training.methods import get_method  # noqa: E402

CONFIG = TrainConfig(
    learning_rate=1e-3, ais_learning_rate=1e-3, n_objects=2, n_sub_iteration=2,
    augmentation="dihedral", intensity_jitter=0.3,
)  # fmt: skip


def learner(encoder="vit", method="lora", fabric=None, **changes):
    """A learner of two images that differ in shape, so that crops of a batch do, too."""
    config = dataclasses.replace(CONFIG, **changes)
    sam = tiny.make_sam(tiny.make_config(encoder))
    row = get_method(method)
    torch.manual_seed(0)
    row.attach(sam.image_encoder, sam.config.architecture, row.settings({}))
    cells = [tiny.make_cells(shape, i) for i, shape in enumerate([(80, 90), (50, 64)])]
    images = [Annotated(image, labels, "") for image, labels in cells]
    samples = [prepare(a, Preprocessing(scale=1.0), 64) for a in images]
    fabric = fabric or Fabric(accelerator="cpu", devices=1)
    return Learner(fabric, sam, samples, config=config, rng=np.random.default_rng(0))


def gradients(learner, monkeypatch):
    """The gradients of one step, before they are used."""
    found: dict[str, Any] = {}

    def keep():
        found.update({
            name: p.grad.clone() for name, p in learner.weights.items() if p.grad is not None
        })  # fmt: skip

    monkeypatch.setattr(learner.optimizer, "step", keep)
    loss = learner.step(0, 1.0)
    return loss, found


def assert_close(found, expected):
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert found[1].keys() == expected[1].keys()
    largest = max(float(g.abs().max()) for g in expected[1].values())
    for name, gradient in expected[1].items():
        scale = max(float(gradient.abs().max()), 1e-3 * largest)
        assert float((found[1][name] - gradient).abs().max()) <= 1e-4 * scale, name


@pytest.mark.parametrize("encoder", tiny.ENCODERS)
@pytest.mark.parametrize("method", ["lora", "full", "freeze_encoder"])
def test_a_batch_of_four_is_four_batches_of_one(monkeypatch, encoder, method):
    together = gradients(learner(encoder, method, batch_size=4), monkeypatch)
    apart = gradients(learner(encoder, method, accumulate=4), monkeypatch)
    pairs = gradients(learner(encoder, method, batch_size=2, accumulate=2), monkeypatch)
    assert_close(together, apart)
    assert_close(pairs, apart)


def test_the_gradient_is_the_mean_over_the_crops(monkeypatch):
    """Each crop alone, with the numbers that it has in the batch."""
    apart = []
    for k in range(2):
        one = learner()
        seeds = np.random.default_rng(0).integers(2**63, size=2)
        monkeypatch.setattr(one, "_sources", lambda k=k, s=seeds: [np.random.default_rng(s[k])])
        apart.append(gradients(one, monkeypatch))
    losses, parts = zip(*apart, strict=True)
    assert losses[0] != losses[1]
    mean = {name: (parts[0][name] + parts[1][name]) / 2 for name in parts[0]}
    assert_close(gradients(learner(batch_size=2), monkeypatch), (sum(losses) / 2, mean))


@pytest.mark.parametrize("encoder", tiny.ENCODERS)
def test_blocks_computed_again_give_the_same_bits(monkeypatch, encoder):
    kept = gradients(learner(encoder, "full"), monkeypatch)
    again = gradients(learner(encoder, "full", recompute_blocks=True), monkeypatch)
    assert kept[0] == again[0]
    assert all(torch.equal(again[1][name], gradient) for name, gradient in kept[1].items())
