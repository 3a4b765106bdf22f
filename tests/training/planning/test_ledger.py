"""What the ledger enters: memory that lives and has lived, bytes moved, operations."""

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402

from samzoo.training.planning.ledger import Ledger  # noqa: E402

KB = 1024


def test_what_is_freed_no_longer_lives_but_has_counted_for_the_peak():
    with FakeTensorMode(), Ledger() as ledger:
        a = torch.zeros(256)
        assert ledger.live == KB
        b = a + 1
        assert (ledger.live, ledger.peak) == (2 * KB, 2 * KB)
        del b
        assert (ledger.live, ledger.peak) == (KB, 2 * KB)
        ledger.start()
        assert ledger.peak == KB


def test_a_view_takes_no_memory_and_moves_nothing():
    with FakeTensorMode(), Ledger() as ledger:
        a = torch.zeros(16, 16)
        ledger.start()
        b = a.view(256)[:128].unsqueeze(0)
        assert (ledger.live, ledger.moved) == (KB, 0)
        b.add_(1)
        assert ledger.moved > 0
        assert ledger.live == KB


def test_what_waits_for_the_backward_pass_lives():
    with FakeTensorMode(), Ledger() as ledger:
        weight = torch.zeros(16, 16, requires_grad=True)
        y = (torch.zeros(16, 16) @ weight).exp().exp().sum()
        waiting = ledger.live
        assert waiting >= 4 * KB
        y.backward()
        del y
        assert ledger.live == 2 * KB  # the weight and its gradient


def test_products_and_convolutions_count_their_operations():
    with FakeTensorMode(), Ledger() as ledger:
        torch.zeros(4, 8) @ torch.zeros(8, 2)
        assert ledger.flops == 2 * 4 * 8 * 2
        ledger.start()
        torch.nn.functional.conv2d(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 3, 3))
        assert ledger.flops == 2 * 4 * 9
