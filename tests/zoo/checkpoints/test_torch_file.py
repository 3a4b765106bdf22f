"""PyTorch files read without torch: equal to what ``torch.load`` gives; lies are told."""

import contextlib
import io
import pickle
import struct
import zipfile
from typing import Any

import numpy as np
import pytest

from samzoo.runtime.errors import FormatError
from samzoo.zoo.checkpoints import stored_tensors, torch_file
from samzoo.zoo.checkpoints.pickle_machine import Placeholder
from samzoo.zoo.checkpoints.stored_tensors import StoredTensor, load_tensors

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

GRID = torch.arange(24.0).view(4, 6)
TENSORS = {
    "plain": GRID,
    "transposed": GRID.clone().t(),
    "strided": GRID.clone()[1:, ::2],
    "parameter": torch.nn.Parameter(GRID.clone()),
    "bfloat16": GRID.bfloat16() / 7,
    "float16": GRID.half()[:1],
    "float64": GRID.double() / 3,
    "scalar": torch.tensor(7),
    "empty": torch.empty(0, 3),
    "bool": GRID > 3,
    "uint8": GRID.to(torch.uint8),
    "int32": GRID.int(),
    "int16": GRID.short(),
    "int8": GRID.to(torch.int8),
    "complex": GRID * 1j,
}
OTHERS = {
    "dtype": torch.float32,
    "device": torch.device("cpu"),
    "module": torch.nn.Linear(2, 2),
    "sparse": torch.eye(2).to_sparse(),
}


def read_torch_file(path) -> Any:
    return torch_file.read_torch_file(path)


def write(path, value, **options):
    torch.save(value, path, **options)
    return path


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")  # torch, when it saves one
@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_tensors_equal_those_that_torch_loads(tmp_path, archive, protocol):
    path = write(
        tmp_path / "a.pt",
        {**TENSORS, "nested": {"list": [1, (2, "x")]}, "size": GRID.shape, **OTHERS},
        _use_new_zipfile_serialization=archive,
        pickle_protocol=protocol,
    )
    value = read_torch_file(path)
    assert value["nested"] == {"list": [1, (2, "x")]}
    assert value["size"] == (4, 6)
    assert all(isinstance(value[name], Placeholder) for name in OTHERS)
    for name, expected in TENSORS.items():
        stored = value[name]
        assert isinstance(stored, StoredTensor)
        assert stored.shape == tuple(expected.shape)
        assert f"torch.{stored.dtype}" == str(expected.dtype)
        found = load_tensors({name: stored}, path)[name]
        plain = expected.detach()
        plain = plain.float() if plain.dtype == torch.bfloat16 else plain
        assert found.dtype == plain.numpy().dtype
        np.testing.assert_array_equal(found, plain.numpy())


def test_tensors_keep_their_order_whatever_their_storages(tmp_path):
    shared = torch.arange(6.0)
    value = {"b": shared[3:], "z": torch.ones(2), "a": shared[:3], "m": torch.zeros(1)}
    path = write(tmp_path / "a.pt", value)
    found = load_tensors(read_torch_file(path), path)
    assert list(found) == ["b", "z", "a", "m"]
    for name, expected in value.items():
        np.testing.assert_array_equal(found[name], expected.numpy())


def test_a_shared_storage_is_read_once(tmp_path, monkeypatch):
    shared = torch.arange(60.0)
    path = write(tmp_path / "a.pt", {str(i): shared[i : i + 1] for i in range(50)})
    read, values = [], stored_tensors._values

    def remember(*given):
        read.append(given)
        return values(*given)

    monkeypatch.setattr(stored_tensors, "_values", remember)
    load_tensors(read_torch_file(path), path)
    assert len(read) == 1


def rewritten(path, **changes):
    """The same archive with entries replaced, by the end of their names; None leaves one out."""
    with zipfile.ZipFile(path) as old:
        entries = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, data in entries.items():
            short = name.split("/", 1)[1].replace("/", "_").replace(".", "_")
            if changes.get(short, data) is not None:
                new.writestr(name, changes.get(short, data))
    return path


def with_pickle(path, steps):
    return rewritten(write(path, {"a": torch.arange(4.0)}), data_pkl=steps)


def described(*, storage=b"", shape=b"(K\x04t", strides=b"(K\x01t", offset=b"K\x00"):
    """The pickle of one tensor, each part of which can lie."""
    storage = storage or reference()
    return (
        b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n("
        + storage + offset + shape + strides + b"\x89}tRs."
    )  # fmt: skip


def reference(*, kind=b"torch\nFloatStorage\n", key=b"0", count=b"K\x04"):
    key = b"X" + struct.pack("<I", len(key)) + key
    return b"(X\x07\x00\x00\x00storagec" + kind + key + b"X\x03\x00\x00\x00cpu" + count + b"tQ"


HUGE = b"\x8a\x08" + struct.pack("<q", 2**40)
MINUS = b"J" + struct.pack("<i", -1)
ONES = b"(" + b"K\x01" * 17 + b"t"
LIES = {
    "count": (described(storage=reference(count=b"K\x05")), "claims 5 values of float32"),
    "huge count": (described(storage=reference(count=HUGE)), "claims 1099511627776 values"),
    "no count": (described(storage=reference(count=b"N")), "expected a number from 0"),
    "wider": (described(storage=reference(kind=b"torch\nDoubleStorage\n")), "of float64"),
    "key": (described(storage=reference(key=b"9")), "storage '9' is not in the archive"),
    "path": (described(storage=reference(key=b"../data.pkl")), "is not in the archive"),
    "class": (described(storage=reference(kind=b"os\nsystem\n")), None),
    "no storage": (described(storage=b"K\x01"), "a tensor without a storage"),
    "reference": (described(storage=b"K\x01Q"), "a reference that is not a storage"),
    "shape": (described(shape=b"(K\x05t"), "reaches beyond the 4 values"),
    "offset": (described(offset=b"K\x01"), "reaches beyond"),
    "huge offset": (described(offset=HUGE), "reaches beyond"),
    "strides": (described(shape=b"(K\x02K\x02t", strides=b"(K\x03K\x01t"), "reaches beyond"),
    "huge stride": (described(shape=b"(K\x02t", strides=b"(" + HUGE + b"t"), "reaches beyond"),
    "negative offset": (described(offset=MINUS), "expected a number from 0, found -1"),
    "negative size": (described(shape=b"(" + MINUS + b"t"), "found -1"),
    "negative stride": (described(strides=b"(" + MINUS + b"t"), "found -1"),
    "size of no number": (described(shape=b"(]t"), "expected a number from 0, found list"),
    "true": (described(offset=b"\x88"), "expected a number from 0"),
    "fewer strides": (described(strides=b")"), "1 dimensions with 0 strides"),
    "dimensions": (described(shape=ONES, strides=ONES), "17 dimensions"),
    "no shape": (described(shape=b"N"), "a tensor without a shape"),
    "few arguments": (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.", "missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_lies_about_tensors_are_told(tmp_path, name):
    steps, message = LIES[name]
    path = with_pickle(tmp_path / "a.pt", steps)
    if message is None:
        assert isinstance(read_torch_file(path)["a"], Placeholder)
        return
    with pytest.raises(FormatError, match=rf"a\.pt: not a usable PyTorch checkpoint .*{message}"):
        read_torch_file(path)


def test_the_true_description_is_read(tmp_path):
    """So that the lies above fail for their own reason."""
    path = with_pickle(tmp_path / "a.pt", described())
    np.testing.assert_array_equal(load_tensors(read_torch_file(path), path)["a"], np.arange(4.0))


@pytest.mark.parametrize("shape", [b"(" + HUGE + b"t", b"(K\x00" + HUGE + b"t"])
def test_stride_0_makes_no_memory(tmp_path, shape):
    strides = b"(" + b"K\x00" * (2 if b"K\x00" in shape[:3] else 1) + b"t"
    path = with_pickle(tmp_path / "a.pt", described(shape=shape, strides=strides))
    value = read_torch_file(path)
    if value["a"].shape[0] == 0:
        assert load_tensors(value, path)["a"].size == 0
        return
    with pytest.raises(FormatError, match="claim 4398046511104 bytes, the file holds"):
        load_tensors(value, path)


def test_many_views_of_one_storage_make_no_memory(tmp_path):
    tensor = torch.ones(10_000)
    path = write(tmp_path / "a.pt", {str(i): tensor[: 10_000 - i] for i in range(20)})
    with pytest.raises(FormatError, match="its tensors claim"):
        load_tensors(read_torch_file(path), path)


def test_flipped_bits_are_seen(tmp_path):
    path = write(tmp_path / "a.pt", {"a": torch.arange(1000.0)})
    data = bytearray(path.read_bytes())
    data[data.index(np.arange(1000, dtype="<f4").tobytes()) + 777] ^= 4
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"a\.pt: damaged: the values of the storage '0'"):
        load_tensors(read_torch_file(path), path)


def test_archives_of_something_else_are_told(tmp_path):
    path = write(tmp_path / "a.pt", {"a": torch.ones(2)})
    with pytest.raises(FormatError, match=r"has no data\.pkl"):
        read_torch_file(rewritten(path, data_pkl=None))
    path = rewritten(write(tmp_path / "b.pt", {"a": torch.ones(2)}), byteorder=b"big")
    with pytest.raises(FormatError, match="little-endian"):
        read_torch_file(path)


@pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated
def test_torchscript_is_code(tmp_path):
    torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)).save(tmp_path / "a.pt")
    with pytest.raises(FormatError, match="TorchScript archive; files that contain code"):
        read_torch_file(tmp_path / "a.pt")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name_are_refused(tmp_path):
    path = write(tmp_path / "a.pt", {"a": torch.ones(2)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(archive.namelist()[0], b"")
    with pytest.raises(FormatError, match="two entries of one name"):
        read_torch_file(path)


def test_what_is_not_weights_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(torch_file, "MAX_PICKLE_BYTES", 4000)
    for archive in (True, False):
        path = write(tmp_path / "a.pt", {"a": "x" * 5000}, _use_new_zipfile_serialization=archive)
        with pytest.raises(FormatError, match="4000 bytes"):
            read_torch_file(path)


def stream(*values, tail=b""):
    return b"".join(pickle.dumps(value, 2) for value in values) + tail


INFO = {"little_endian": True}
MAGIC, PROTOCOL = torch_file.STREAM_MAGIC, torch_file.STREAM_PROTOCOL
STREAMS = {
    "magic": (stream(1, PROTOCOL, INFO, {}, []), "a pickle of Python's own; expected a file"),
    "protocol": (stream(MAGIC, 1, INFO, {}, []), "does not start as torch.save starts"),
    "big endian": (stream(MAGIC, PROTOCOL, {"little_endian": False}, {}, []), "little-endian"),
    "no keys": (stream(MAGIC, PROTOCOL, INFO, {}, 3), "no list of storages"),
    "other keys": (stream(MAGIC, PROTOCOL, INFO, {}, ["0"]), "not that of its tensors"),
    "keys of no text": (stream(MAGIC, PROTOCOL, INFO, {}, [3]), "no list of storages"),
    "cut": (stream(MAGIC, PROTOCOL), "not a usable"),
    "storage": (
        stream(MAGIC, PROTOCOL, INFO) + described() + stream(["0"], tail=struct.pack("<q", 4)),
        "the storage '0' ends at byte",
    ),
    "count": (
        stream(MAGIC, PROTOCOL, INFO) + described()
        + stream(["0"], tail=struct.pack("<q", 5) + bytes(40)),
        "the storage '0' has another length",
    ),
    "view": (
        stream(MAGIC, PROTOCOL, INFO)
        + described(storage=reference()[:-2] + b"K\x01tQ") + stream(["0"]),
        "only files of 2017",
    ),
    "two descriptions": (
        stream(MAGIC, PROTOCOL, INFO)
        + described()[:-2] + described(storage=reference(count=b"K\x03"))[3:-2] + b"s.",
        "two descriptions",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_lies_in_the_older_format_are_told(tmp_path, name):
    data, message = STREAMS[name]
    (tmp_path / "a.pth").write_bytes(data)
    with pytest.raises(FormatError, match=rf"a\.pth: .*{message}"):
        read_torch_file(tmp_path / "a.pth")


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("seed", range(60))
def test_damaged_files_end_in_a_value_or_our_error(tmp_path, archive, seed):
    rng = np.random.default_rng(seed)
    buffer = io.BytesIO()
    value = {"a": GRID, "b": GRID.t(), "c": {"d": 3}}
    torch.save(value, buffer, _use_new_zipfile_serialization=archive)
    data = bytearray(buffer.getvalue())
    for _ in range(rng.integers(1, 8)):
        data[rng.integers(4, len(data))] = rng.integers(256)
    path = tmp_path / "a.pt"
    path.write_bytes(data[: len(data) - rng.integers(2) * rng.integers(len(data) // 2)])
    with contextlib.suppress(FormatError):
        found = read_torch_file(path)
        if isinstance(found, dict):
            stored = {str(k): v for k, v in found.items() if isinstance(v, StoredTensor)}
            load_tensors(stored, path)
