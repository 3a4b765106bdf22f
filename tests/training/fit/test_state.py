"""Checkpoints: everything comes back bit by bit, and nothing from a wrong file."""

import errno
import json
import os

import numpy as np
import pytest

from samzoo.runtime.errors import FormatError, NotFoundError, StorageError
from samzoo.runtime.formats.files import read_tensors, write_tensors

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from samzoo.training.fit.state import (  # noqa: E402
    load_state,
    newest_state,
    read_progress,
    save_state,
)

PROGRESS = {"step": 3, "best": {"score": 0.1 + 0.2}, "last_score": None}


def make_run(seed, *, steps=0, size=3):
    """A small module with its average, optimiser and random state, some steps in."""
    torch.manual_seed(seed)
    module = torch.nn.Linear(4, size)
    optimizer = torch.optim.AdamW(
        [
            {"params": [module.weight], "lr": 0.1, "initial_lr": 0.1},
            {"params": [module.bias], "lr": 0.2, "initial_lr": 0.2},
        ]
    )
    run = {
        "weights": dict(module.named_parameters()),
        "average": {n: torch.randn_like(p) for n, p in module.named_parameters()},
        "optimizer": optimizer,
        "rng": np.random.default_rng(seed),
    }
    for _ in range(steps):
        advance(run)
    return run


def advance(run):
    """One step that depends on all of the state."""
    noise = torch.randn(4) + float(run["rng"].random())
    weight, bias = run["weights"]["weight"], run["weights"]["bias"]
    (weight @ noise + bias).square().sum().backward()
    run["optimizer"].step()
    run["optimizer"].zero_grad()
    run["optimizer"].param_groups[0]["lr"] *= 0.9
    with torch.no_grad():
        for name, value in run["average"].items():
            value.lerp_(run["weights"][name], 0.5)


def assert_equal(a, b):
    for kind in ("weights", "average"):
        for name, value in a[kind].items():
            assert torch.equal(value, b[kind][name]), (kind, name)
    states = [run["optimizer"].state_dict() for run in (a, b)]
    groups = [json.loads(json.dumps(state["param_groups"])) for state in states]  # lists, tuples
    assert groups[0] == groups[1]
    for index, values in states[0]["state"].items():
        for key, value in values.items():
            assert torch.equal(value, states[1]["state"][index][key]), (index, key)
    assert a["rng"].bit_generator.state == b["rng"].bit_generator.state


@pytest.mark.parametrize("steps", [0, 3])
def test_a_loaded_run_is_equal_and_goes_on_equally(tmp_path, steps):
    run = make_run(0, steps=steps)
    save_state(tmp_path / "a.safetensors", **run, progress=PROGRESS)
    other = make_run(1, steps=2)
    assert load_state(tmp_path / "a.safetensors", **other) == PROGRESS
    assert_equal(run, other)
    state = torch.get_rng_state()
    advance(other)
    torch.set_rng_state(state)
    advance(run)
    assert_equal(run, other)


def test_torch_gets_its_random_state_back(tmp_path):
    run = make_run(0)
    save_state(tmp_path / "a.safetensors", **run, progress={})
    expected = torch.randn(3)
    torch.manual_seed(99)
    load_state(tmp_path / "a.safetensors", **make_run(0))
    assert torch.equal(torch.randn(3), expected)


def test_progress_can_be_read_alone(tmp_path):
    save_state(tmp_path / "a.safetensors", **make_run(0), progress=PROGRESS)
    assert read_progress(tmp_path / "a.safetensors") == PROGRESS


def test_without_an_average_none_is_stored(tmp_path):
    run = {**make_run(0), "average": {}}
    save_state(tmp_path / "a.safetensors", **run, progress={})
    assert not [n for n in read_tensors(tmp_path / "a.safetensors") if n.startswith("average/")]
    load_state(tmp_path / "a.safetensors", **{**make_run(1), "average": {}})


def changed(run, **parts):
    return {**run, **parts}


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_run(1, size=5),  # a shape that would not fit
        lambda: make_run(1, size=1),  # one that would broadcast
        lambda: changed(make_run(1), average={}),
        lambda: changed(make_run(1), weights={"weight": make_run(1)["weights"]["weight"]}),
    ],
)
def test_a_checkpoint_of_other_weights_is_an_error_and_changes_nothing(tmp_path, make):
    save_state(tmp_path / "a.safetensors", **make_run(0, steps=1), progress={})
    other, copy = make(), make()
    with pytest.raises(FormatError, match="belongs to another method or other settings"):
        load_state(tmp_path / "a.safetensors", **other)
    assert_equal(other, copy)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(NotFoundError, match="no such file"):
        load_state(tmp_path / "a.safetensors", **make_run(0))


@pytest.mark.parametrize(
    "metadata",
    [{}, {"samzoo": "no json"}, {"samzoo": "[1]"}, {"samzoo": '{"version": 1}'}],
)
def test_a_file_that_is_no_checkpoint_is_an_error(tmp_path, metadata):
    write_tensors(tmp_path / "a.safetensors", {"x": np.zeros(2)}, metadata)
    with pytest.raises(FormatError, match=r"not a .*training checkpoint"):
        load_state(tmp_path / "a.safetensors", **make_run(0))


@pytest.mark.parametrize(
    "text", ['{"version": 2, "progress": {}}', '{"version": 1, "progress": 3}']
)
def test_a_checkpoint_of_another_version_is_an_error(tmp_path, text):
    write_tensors(tmp_path / "a.safetensors", {"x": np.zeros(2)}, {"samzoo": text})
    with pytest.raises(FormatError, match=r"a checkpoint of version [12], expected 1"):
        read_progress(tmp_path / "a.safetensors")


def test_a_damaged_file_is_an_error(tmp_path):
    path = tmp_path / "a.safetensors"
    save_state(path, **make_run(0), progress={})
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(FormatError, match="not a usable safetensors file"):
        load_state(path, **make_run(0))


def test_a_full_disk_leaves_the_previous_checkpoint_whole(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save_state(path, **make_run(0), progress={"step": 1})
    before = path.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, full)
            with pytest.raises(StorageError, match="No space left on device"):
                save_state(path, **make_run(1), progress={"step": 2})
        assert path.read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def flipped(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("damage", ["a value", "the description", "a cut"])
def test_the_newest_checkpoint_that_is_whole_is_found(tmp_path, damage):
    """A flipped bit in a moment was resumed in silence."""
    last, previous = tmp_path / "last.safetensors", tmp_path / "previous.safetensors"
    for path in (previous, last):
        save_state(path, **make_run(0, steps=2), progress=PROGRESS)
    assert newest_state([last, previous]) == (last, [])
    if damage == "a value":
        flipped(last, last.stat().st_size - 40)
    if damage == "the description":
        flipped(last, last.read_bytes().index(b"best") + 9)
    if damage == "a cut":
        last.write_bytes(last.read_bytes()[:-100])
    found, (told,) = newest_state([last, previous])
    assert found == previous
    assert told.startswith(str(last))
    assert told.endswith("went on from previous.safetensors instead")
    with pytest.raises(FormatError, match=r"last\.safetensors"):
        newest_state([last])


def test_without_a_checkpoint_there_is_nothing_to_resume(tmp_path):
    with pytest.raises(NotFoundError, match="there is no run to resume"):
        newest_state([tmp_path / "last.safetensors"])
