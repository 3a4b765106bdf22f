"""Encoders in steps: where they begin to train, and results computed again are the same bits."""

import pytest
import tiny

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from samzoo.training.encoders.steps import frozen_steps, run_steps  # noqa: E402
from samzoo.training.methods import METHODS, get_method  # noqa: E402
from samzoo.training.networks.acting import dropout_acting  # noqa: E402

FOLDED = [name for name, row in METHODS.items() if row.quantized is None]
FIRST = {
    # Steps of the ViT: stem, two blocks, neck. TinyViT: stem, MBConv, merging, block, merging, two
    # blocks, merging, block, neck; its late blocks are the last two with attention.
    "vit": {"freeze_encoder": 4, "full": 0, "late_lora": 2, "late_full": 2},
    "tiny_vit": {"freeze_encoder": 10, "full": 0, "late_lora": 6, "late_full": 6},
}
USUALLY = {"vit": 1, "tiny_vit": 3}
"""A method that trains all blocks: the first step that is a block with attention."""


def attached(encoder, method, **given):
    """A tiny SAM with a method whose every tensor differs from zero, and its steps."""
    sam = tiny.make_sam(tiny.make_config(encoder, ais=False))
    row = get_method(method)
    row.attach(sam.image_encoder, sam.config.architecture, row.settings(given))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in sam.image_encoder.parameters():
            if value.requires_grad:
                value.add_(0.1 * torch.randn(value.shape, generator=generator))
    return sam, sam.encoder_steps()


def trained(sam):
    return {n: p for n, p in sam.image_encoder.named_parameters() if p.requires_grad}


def picture():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("encoder", tiny.ENCODERS)
@pytest.mark.parametrize("method", FOLDED)
def test_steps_before_the_first_that_trains_are_frozen(encoder, method):
    sam, steps = attached(encoder, method)
    count = frozen_steps(steps)
    assert count == FIRST[encoder].get(method, USUALLY[encoder])
    x = run_steps(steps[:count], picture())
    assert not x.requires_grad
    if count < len(steps):
        assert run_steps(steps[count : count + 1], x).requires_grad
    total = {id(p) for step in steps for p in step.parameters}
    assert total == {id(p) for p in sam.image_encoder.parameters()}


def test_layers_that_share_a_tensor_train_with_it():
    """FacT's shared factors belong to the first layer, and every other one uses them."""
    _, steps = attached("vit", "fact", shared=True, rank=2)
    shared = {id(p) for p in steps[1].parameters if p.requires_grad}
    assert shared & {id(p) for p in steps[2].parameters}


@pytest.mark.parametrize("encoder", tiny.ENCODERS)
@pytest.mark.parametrize("method", [m for m in FOLDED if m != "freeze_encoder"])
def test_what_is_computed_again_has_the_same_bits(encoder, method):
    """Dropout included: it drops the same values the second time."""
    sam, _ = attached(encoder, method, **({"dropout": 0.5} if method == "adaptformer" else {}))
    results = []
    for recompute in (False, True):
        torch.manual_seed(3)
        with dropout_acting(sam.image_encoder):
            found = run_steps(sam.encoder_steps(), picture(), recompute=recompute)
            gradients = torch.autograd.grad(found.square().sum(), [*trained(sam).values()])
        results.append([found.detach(), *gradients])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_what_is_computed_again_is_not_kept():
    _, steps = attached("vit", "full")
    kept: dict[bool, list[int]] = {}
    for recompute in (False, True):
        sizes = kept.setdefault(recompute, [])

        def keep(value, sizes=sizes):
            if not isinstance(value, torch.nn.Parameter):
                sizes.append(value.numel())
            return value

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
            run_steps(steps, picture(), recompute=recompute)
    assert sum(kept[True]) < 0.2 * sum(kept[False])
