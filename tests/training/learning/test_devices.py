"""Two processes that learn together against one with twice the batch."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytestmark = pytest.mark.torch

from lightning_fabric import Fabric  # noqa: E402

from samzoo.runtime.errors import InputError  # noqa: E402
from samzoo.training.learning.devices import (  # noqa: E402
    check_devices,
    fabric_for,
    from_first,
    mean_over_devices,
    share_gradients,
)

HERE = Path(__file__).parent

SCRIPT = """
import json, sys
import torch
from lightning_fabric import Fabric
torch.set_num_threads(1)
devices, options, output = int(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
strategy = "ddp" if devices > 1 else "auto"
fabric = Fabric(accelerator="cpu", devices=devices, strategy=strategy)
fabric.launch()
from test_learner import learner
one = learner(fabric=fabric, **options)
losses = [one.step(index, 1.0) for index in range(3)]
torch.save({"losses": losses, **one.weights}, f"{output}/{devices}_{fabric.global_rank}.pt")
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def run(folder, devices, **options):
    """Train three steps in one process or in several; returns the weights of each."""
    port = str(free_port())
    paths = [str(HERE), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
    processes = []
    for rank in range(devices):
        together = {
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(devices),
            "LOCAL_RANK": str(rank), "RANK": str(rank), "NODE_RANK": "0",
        }  # fmt: skip
        processes.append(subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(devices), json.dumps(options), str(folder)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths),
                 **(together if devices > 1 else {})},
        ))  # fmt: skip
    try:
        assert [process.wait(300) for process in processes] == [0] * devices
    finally:
        for process in processes:
            process.kill()
    return [torch.load(folder / f"{devices}_{rank}.pt") for rank in range(devices)]


@pytest.mark.skipif(sys.platform != "linux", reason="gloo over loopback, as CI runs it")
@pytest.mark.parametrize("method", ["full"])
def test_two_processes_learn_what_one_with_twice_the_batch_learns(tmp_path, method):
    (alone,) = run(tmp_path, 1, method=method, batch_size=4)
    first, second = run(tmp_path, 2, method=method, batch_size=2)
    assert first["losses"] == second["losses"]
    np.testing.assert_allclose(first["losses"], alone["losses"], rtol=1e-4)
    for name, value in alone.items():
        if name == "losses":
            continue
        assert torch.equal(first[name], second[name]), name
        # AdamW turns the sign of a gradient into a step of the learning rate, 1e-3 here; a
        # gradient that is rounding alone may have either sign.
        difference = (first[name] - value).detach().abs()
        assert float(difference.max()) <= 3 * 2e-3, name
        assert float(difference.mean()) <= 2e-5, name


def test_one_device_changes_nothing():
    fabric = Fabric(accelerator="cpu", devices=1)
    weight = torch.ones(3, requires_grad=True)
    (weight * 2).sum().backward()
    share_gradients(fabric, [weight, torch.ones(2)])
    assert weight.grad is not None
    assert weight.grad.tolist() == [2, 2, 2]
    assert float(mean_over_devices(fabric, torch.tensor(3.0))) == 3


def test_more_devices_than_there_are_are_refused(monkeypatch):
    check_devices(1)
    with pytest.raises(InputError, match="--devices: found 0, allowed is a number from 1 on"):
        check_devices(0)
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("the rest is for a CPU")
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    check_devices(4)
    with pytest.raises(InputError, match="found 5, but this machine has 4 cores and no GPU"):
        check_devices(5)
    monkeypatch.setattr(torch.distributed, "is_available", lambda: False)
    with pytest.raises(InputError, match="devices of the kind cpu cannot train together"):
        check_devices(2)


def test_the_first_of_one_is_itself():
    assert from_first(fabric_for(1, "32-true"), 3.5) == 3.5
