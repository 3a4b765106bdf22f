"""Checkpoints in every wrapping, dtype and format that tools write; and files that are none."""

import io
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import FormatError, NotFoundError
from samzoo.runtime.formats.files import read_tensors
from samzoo.zoo.checkpoints.conversion import convert

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def sam():
    """Segment-anything's own SAM, tiny."""
    return tiny.make_original(tiny.make_sam(tiny.make_config(ais=False)))


@pytest.fixture
def checkpoint(sam, tmp_path):
    path = tmp_path / "sam.pth"
    torch.save(sam.state_dict(), path)
    return path


def weights_bytes(base):
    return (base / "model.safetensors").read_bytes()


class Setting:
    """A class that a trainer pickles beside its weights."""

    def __init__(self):
        self.number = 3


STATE = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.ones(2)}}}
WRAPPED = {
    "model": lambda state: {"model": state},
    "state_dict": lambda state: {"state_dict": state},
    "MedSAM's training": lambda state: {"model": state, "optimizer": STATE, "epoch": 3},
    "DataParallel": lambda state: {f"module.{name}": value for name, value in state.items()},
    "micro-sam's export": lambda state: {"model_state": state, "decoder_state": {}},
    "micro-sam's trainer": lambda state: {
        "iteration": 3,
        "best_metric": np.float64(0.25),
        "model_state": {f"sam.{name}": value for name, value in state.items()},
        "optimizer_state": STATE,
        "init": {"loss": Setting(), "class": Setting, "transform": str.lower},
        "scaler_state": None,
    },
    "parameters": lambda state: {n: torch.nn.Parameter(value) for n, value in state.items()},
}


@pytest.mark.parametrize("wrapper", WRAPPED)
def test_state_dict_is_found_in_what_tools_wrap_around_it(sam, checkpoint, tmp_path, wrapper):
    torch.save(WRAPPED[wrapper](dict(sam.state_dict())), tmp_path / "wrapped.pth")
    wrapped = convert(tmp_path / "wrapped.pth", tmp_path / "wrapped")
    plain = convert(checkpoint, tmp_path / "plain")
    assert weights_bytes(wrapped) == weights_bytes(plain)


def test_old_pytorch_format_is_read(sam, checkpoint, tmp_path):
    torch.save(sam.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    old = convert(tmp_path / "old.pth", tmp_path / "old")
    assert weights_bytes(old) == weights_bytes(convert(checkpoint, tmp_path / "plain"))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_every_float_width_becomes_float32(sam, tmp_path, suffix, dtype):
    from safetensors.torch import save_file

    state = {name: value.to(getattr(torch, dtype)) for name, value in sam.state_dict().items()}
    path = tmp_path / f"sam{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(state, path)
    tensors = read_tensors(convert(path, tmp_path / "base") / "model.safetensors")
    for name, value in state.items():
        assert tensors[name].dtype == np.float32
        np.testing.assert_array_equal(tensors[name], value.to(torch.float32).numpy())


@pytest.mark.parametrize("name", ["sam.safetensors", "sam.pth", "usam.pt"])
def test_no_checkpoint_needs_torch(sam, tmp_path, name):
    from safetensors.torch import save_file

    save_file(dict(sam.state_dict()), tmp_path / "sam.safetensors")
    torch.save(sam.state_dict(), tmp_path / "sam.pth")
    torch.save({"model_state": sam.state_dict(), "decoder_state": {}}, tmp_path / "usam.pt")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from samzoo.zoo.checkpoints.conversion import convert\n"
        f"convert(Path({name!r}), Path('base'))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    with_torch = convert(tmp_path / name, tmp_path / "with")
    for file in ("config.json", "model.safetensors"):
        assert (tmp_path / "base" / file).read_bytes() == (with_torch / file).read_bytes()


class Canary:
    """Runs a command when it is unpickled by a loader that lets it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("kind", ["pickle", "torch", "old torch", "among tensors"])
@pytest.mark.parametrize("variable", ["0", "1"])
def test_code_in_a_checkpoint_never_runs(sam, tmp_path, monkeypatch, kind, variable):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", variable)
    canary = Canary(tmp_path / "canary")
    path = tmp_path / "sam.pth"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(canary))
    elif kind == "among tensors":
        torch.save({**sam.state_dict(), "image_encoder.canary": canary}, path)
    else:
        torch.save(canary, path, _use_new_zipfile_serialization=kind == "torch")
    with pytest.raises(FormatError, match=r"sam\.pth: .*files that contain code are not loaded"):
        convert(path, tmp_path / "base")
    assert os.listdir(tmp_path) == ["sam.pth"]


def saved(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def packed(data):
    """The same archive, compressed: a few bytes may become very many."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", 8) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return buffer.getvalue()


def archive(**entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, text in entries.items():
            file.writestr(name, text)
    return buffer.getvalue()


NECK = "image_encoder.neck.0.weight"

BAD_FILES = {
    "empty": (lambda state: b"", "found 0 bytes"),
    "text": (lambda state: b"Not found", r"is a text of 9 bytes, 'Not found', not a checkpoint"),
    "tar": (lambda state: b"storages" + b"\0" * 600, "not a checkpoint"),
    "half a file": (
        lambda state: saved(state)[: len(saved(state)) // 2],
        r"is cut off: found \d{7} bytes, its tensors alone have \d{7}; fetch the file again",
    ),
    "the end is missing": (lambda state: saved(state)[:-5000], "damaged archive"),
    "zip": (lambda state: archive(a="text"), "not a usable PyTorch checkpoint .*data.pkl"),
    "packed": (lambda state: packed(saved(state)), "zipped again, with compression"),
    "pickle": (lambda state: pickle.dumps({"a": 1}), "not a usable PyTorch checkpoint"),
    "list": (lambda state: saved([1, 2]), "expected a state dict, found 'list'"),
    "no tensors": (lambda state: saved({}), "an empty state dict"),
    "number": (
        lambda state: saved({"a": torch.ones(1), "epoch": 3}),
        "'epoch': expected a tensor.*'int'",
    ),
    "key": (lambda state: saved({1: torch.ones(1)}), "1: expected a name, found .int.; tensors"),
    "only settings": (
        lambda state: saved({"net": {}, "epoch": 3}),
        "holds no tensors, only the keys 'net', 'epoch'",
    ),
    "usam": (
        lambda state: saved({"model_state": [1], "decoder_state": state}),
        "model_state: expected a state dict, found 'list'",
    ),
    "usam without weights": (
        lambda state: saved({"model_state": {}, "decoder_state": {}}),
        "model_state: an empty state dict",
    ),
    "usam with a number": (
        lambda state: saved({"model_state": {"a": torch.ones(1), "n": 1}}),
        "model_state: 'n': expected a tensor, found 'int'",
    ),
    "two state dicts": (
        lambda state: saved({"model": state, "state_dict": {n: t + 1 for n, t in state.items()}}),
        "holds 2 SAMs, under 'model', 'state_dict'; choose one with --key, for example --key 'mod",
    ),
    "decoder alone": (
        lambda state: saved({f"deconv{i}.block.1.block.weight": torch.ones(1) for i in (1, 2)}),
        "holds only micro-sam's AIS decoder; .*--decoder",
    ),
    "unmerged adapter": (
        lambda state: saved(
            {**state, "image_encoder.blocks.0.attn.qkv.w_a_linear_q.weight": torch.ones(2, 32)}
        ),
        "an adapter that is not merged, such as 'image_encoder.*w_a_linear_q",
    ),
    "stride 0": (
        lambda state: saved({"a": torch.ones(1).expand(2**33)}),
        "claim 34359738368 bytes",
    ),
    "sparse": (
        lambda state: saved({"a": torch.eye(2).to_sparse()}),
        "'a': holds a sparse tensor; save it dense",
    ),
    "int": (lambda state: saved({"a": torch.ones(2, dtype=torch.int32)}), "'a': found int32"),
    "complex": (lambda state: saved({"a": torch.ones(2) * 1j}), "'a': found complex64"),
    "counter": (lambda state: saved({"a": torch.tensor(1)}), "found int64.*num_batches_tracked"),
    "nan": (
        lambda state: saved({**state, "image_encoder.pos_embed": torch.full((1,), torch.nan)}),
        "'image_encoder.pos_embed' holds NaN",
    ),
    "overflow": (
        lambda state: saved({**state, NECK: torch.full((1,), 1e300, dtype=torch.float64)}),
        "'image_encoder.neck.0.weight' holds NaN or infinite",
    ),
    "unknown tensor": (
        lambda state: saved({**state, "mask_decoder.extra.weight": torch.ones(1)}),
        r"unknown 'mask_decoder\.extra\.weight' \(0 missing, 1 unknown tensors\) for a SAM with a",
    ),
    "head in a vit": (
        lambda state: saved({**state, "image_encoder.head.bias": torch.ones(1)}),
        r"unknown 'image_encoder\.head\.bias'",
    ),
    "missing tensor": (
        lambda state: saved({k: v for k, v in state.items() if "no_mask_embed" not in k}),
        r"lacks 'prompt_encoder\.no_mask_embed\.weight' \(1 missing",
    ),
    "shape": (
        lambda state: saved({**state, "mask_decoder.iou_token.weight": torch.ones(1, 255)}),
        r"iou_token\.weight': found the shape \(1, 255\), allowed is \(1, 256\)",
    ),
    "other network": (lambda state: saved({"a": torch.ones(1)}), "found 'a'; supported are"),
}


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")  # torch, on hostile files
@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_file_is_refused_and_leaves_nothing(sam, tmp_path, name):
    make, message = BAD_FILES[name]
    path = tmp_path / "sam.pth"
    path.write_bytes(make(dict(sam.state_dict())))
    with pytest.raises(FormatError, match=rf"sam\.pth: .*{message}"):
        convert(path, tmp_path / "base")
    assert os.listdir(tmp_path) == ["sam.pth"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage",
        b"\xff" * 64,
        (2).to_bytes(8, "little") + b"{}",
        (9).to_bytes(8, "little") + b"{not json",
        (10**6).to_bytes(8, "little") + b"{}",
    ],
)
def test_bad_safetensors_are_refused(tmp_path, data):
    path = tmp_path / "sam.safetensors"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"sam\.safetensors: "):
        convert(path, tmp_path / "base")


def test_safetensors_of_another_dtype_are_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.ones(2, np.uint8)}, tmp_path / "sam.safetensors")
    with pytest.raises(FormatError, match="tensor 'a': found uint8, allowed are float16"):
        convert(tmp_path / "sam.safetensors", tmp_path / "base")


def test_missing_file_and_folder_are_told_apart(tmp_path):
    with pytest.raises(NotFoundError, match="no such file"):
        convert(tmp_path / "sam.pth", tmp_path / "base")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FormatError, match="is a folder without the config of a Hugging Face model"):
        convert(tmp_path / "folder", tmp_path / "base")
