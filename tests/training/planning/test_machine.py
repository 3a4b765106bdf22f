"""What is found out about the machine."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytestmark = pytest.mark.torch

from samzoo.training.planning import machine as module  # noqa: E402
from samzoo.training.planning.machine import Machine, memory, resident_bytes  # noqa: E402
from samzoo.training.planning.step_cost import Work  # noqa: E402

GB = 2**30


def test_this_machine_has_memory_and_speed():
    found = module.this_machine()
    assert 0 < found.free <= found.memory
    assert found.flops > 1e8
    assert found.bandwidth > 1e7
    seconds = found.seconds(Work(1e9, 1e9))
    assert seconds is not None
    assert seconds > 0


def test_an_unknown_speed_gives_no_seconds():
    found = module.this_machine(measure_speed=False)
    assert found.seconds(Work(1e9, 1e9)) is None


def test_seconds_are_products_and_passes_one_after_the_other():
    machine = Machine("cpu", "2 cores", 8 * GB, 4 * GB, 0, flops=1e9, bandwidth=1e10)
    assert machine.seconds(Work(2e9, 5e9)) == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("device", "size", "server"), [("cpu", 512, False), ("cuda", 12, False), ("cuda", 80, True)]
)
def test_a_large_gpu_is_a_servers(device, size, server):
    assert Machine(device, "", size * GB, GB, 0).on_server == server


def test_the_limit_of_a_container_counts(monkeypatch):
    texts = {
        "/proc/meminfo": "MemTotal: 99 kB\nMemAvailable:   8388608 kB\n",
        "/sys/fs/cgroup/memory.max": str(3 * GB),
        "/sys/fs/cgroup/memory.current": str(GB),
    }
    monkeypatch.setattr(module, "_text", lambda path: texts.get(path, ""))
    total, free = memory()
    assert (total, free) == (3 * GB, 2 * GB)
    texts["/sys/fs/cgroup/memory.max"] = "max"
    assert memory()[1] == 8 * GB


def test_where_the_system_does_not_tell_all_memory_is_free(monkeypatch):
    monkeypatch.setattr(module, "_text", lambda path: "")
    total, free = memory()
    assert total == free


def test_the_process_has_memory_of_its_own():
    assert resident_bytes() >= 0
