"""Attention in pieces against attention written out, in float64: results and all gradients."""

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from samzoo.training.encoders import attention  # noqa: E402

EXACT = 1e-12
"""In float64, relative to the largest value: the two are the same function."""

PIECES = [4 * 2**20, 700, 100, 1]
"""Scores at once: all, some heads, some rows, one row of one head (or of one window)."""


def random(*shape):
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape) + shape[-1]))
    return values.double().requires_grad_()


def differences(found, expected, inputs):
    """Largest relative differences of results and of the gradients of all inputs."""
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(9)).double()
    pairs = [(found.detach(), expected.detach())]
    gradients = [torch.autograd.grad((y * weights).sum(), inputs) for y in (found, expected)]
    pairs += zip(*gradients, strict=True)
    return [float((a - b).abs().max() / b.abs().max()) for a, b in pairs]


@pytest.mark.parametrize("scores", PIECES)
def test_attention_with_positions_is_attention_written_out(monkeypatch, scores):
    monkeypatch.setattr(attention, "SCORES_AT_ONCE", scores)
    # Rows and columns differ in number, so that one cannot pass for the other.
    q, k, v = random(5, 12, 4), random(5, 12, 4), random(5, 12, 4)
    by_row, by_column = random(5, 12, 3), random(5, 12, 4)
    q, k, v = (x.detach().roll(i, 0).requires_grad_() for i, x in enumerate((q, k, v)))
    found = attention.attend_with_positions(q, k, v, by_row, by_column, scale=0.7)
    terms = (by_row[..., :, None] + by_column[..., None, :]).flatten(2)
    expected = torch.softmax(0.7 * q @ k.transpose(1, 2) + terms, dim=-1) @ v
    assert max(differences(found, expected, (q, k, v, by_row, by_column))) < EXACT


@pytest.mark.parametrize("scores", PIECES)
def test_attention_with_a_bias_is_attention_written_out(monkeypatch, scores):
    monkeypatch.setattr(attention, "SCORES_AT_ONCE", scores)
    q, k, v = (random(6, 9, 4).detach().roll(i, 0).requires_grad_() for i in range(3))
    bias = random(2, 9, 9)  # three windows of two heads
    found = attention.attend_with_bias(q, k, v, bias, scale=0.7)
    written_out = 0.7 * (q @ k.transpose(1, 2)).unflatten(0, (3, 2)) + bias
    expected = torch.softmax(written_out, dim=-1).flatten(0, 1) @ v
    assert max(differences(found, expected, (q, k, v, bias))) < EXACT


def test_terms_that_do_not_train_get_no_gradient():
    q, k, v = (random(5, 12, 4).detach().roll(i, 0).requires_grad_() for i in range(3))
    by_row, by_column = random(5, 12, 3).detach(), random(5, 12, 4)
    attention.attend_with_positions(q, k, v, by_row, by_column, scale=1.0).sum().backward()
    assert by_row.grad is None
    terms = (by_row[..., :, None] + by_column[..., None, :]).flatten(2)
    expected = torch.softmax(q @ k.transpose(1, 2) + terms, dim=-1) @ v
    (gradient,) = torch.autograd.grad(expected.sum(), by_column)
    assert float((by_column.grad - gradient).abs().max()) < EXACT


def test_scores_far_from_zero_overflow_nothing_and_stay_exact():
    """In float32 the exponential of 100 is infinite, and 3600 has steps of 0.0002."""
    q = torch.full((1, 4, 4), 30.0, requires_grad=True)
    v = random(1, 4, 4).float()
    terms = torch.zeros(1, 4, 2)
    found = attention.attend_with_positions(q, q, v, terms, terms, scale=1.0)
    found.sum().backward()
    assert torch.allclose(found, v.mean(dim=1, keepdim=True).expand_as(v), atol=1e-6)
    assert torch.isfinite(q.grad).all()


def test_no_more_than_a_piece_of_scores_is_ever_held(monkeypatch):
    """Neither forward nor backward, and nothing of that size waits for the backward pass."""
    monkeypatch.setattr(attention, "SCORES_AT_ONCE", 64 * 8)
    sizes, kept = [], []

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                sizes.append(result.numel())
            return result

    def keep(value):
        kept.append(value.numel())
        return value

    # 2 heads x 64 x 64 scores are 8192; all else is at most 2 x 64 x 8.
    x, terms = random(2, 64, 4), random(2, 64, 8)
    with Sizes(), torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        found = attention.attend_with_positions(x, x, x, terms, terms, scale=1.0).sum()
        forwards = sizes.count(64 * 8)
        found.backward()
    assert 0 < forwards < sizes.count(64 * 8)  # both passes have been watched
    assert max(sizes) <= 2 * 64 * 8
    assert kept
    assert max(kept) <= 2 * 64 * 8


def test_under_autocast_scores_stay_exact():
    """Products run in bfloat16, as plain attention's do, and the softmax in float32."""
    q, k, v = (random(5, 12, 4).float().detach().roll(i, 0) for i in range(3))
    by_row, by_column = random(5, 12, 3).float().detach(), random(5, 12, 4).float().detach()
    low = a, b, c = [x.bfloat16().requires_grad_() for x in (q, k, v)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = attention.attend_with_positions(a, b, c, by_row, by_column, scale=0.5)
    found.float().sum().backward()
    terms = (by_row[..., :, None] + by_column[..., None, :]).flatten(2)
    expected = torch.softmax(0.5 * q @ k.transpose(1, 2) + terms, dim=-1) @ v
    assert found.dtype == torch.bfloat16
    assert all(x.grad.dtype == torch.bfloat16 for x in low)
    # A bfloat16 has 8 bits: products of values around 1 to 3 are off by some hundredths.
    assert float((found.detach().float() - expected).abs().max()) < 0.05
