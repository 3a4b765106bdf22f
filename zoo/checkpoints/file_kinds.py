"""Files that are no checkpoints, told by their first bytes or by what a zip archive holds.

In: a file. Out: nothing, or an error that says what the file is and what to do. Files with a wrong
name, half downloads and error pages saved as ``.pth`` are more frequent than damaged checkpoints.

Sources of the first bytes: the formats' own specifications (git-lfs, HDF5, GGUF, NumPy, TFLite,
ONNX); the magic numbers of ``file`` for the compressed ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path

from samzoo.runtime.errors import FormatError, shown
from samzoo.runtime.formats.files import PADDING, is_web_page
from samzoo.runtime.formats.tensor_files import LFS_START

START_BYTES = 4096
"""How much of a file's start is looked at."""

MAX_HEADER_BYTES = 100_000_000
"""Longest header of a safetensors file. Source: safetensors, ``tensor.rs``."""

MADE_FROM = "take the checkpoint it was made from"

STARTS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras and TensorFlow write weights (StarDist's "
     "weights_best.h5 is one)", "samzoo reads SAMs in PyTorch or safetensors files"),
    (b"GGUF", "a GGUF file of llama.cpp or sam.cpp", MADE_FROM),
    (b"lmgg", "a GGML file", MADE_FROM),
    (b"\x93NUMPY", "a NumPy array", "pass a PyTorch or safetensors file with a whole SAM"),
    (b"\x1f\x8b", "a gzip archive", "unpack it, and convert the checkpoint in it"),
    (b"BZh", "a bzip2 archive", "unpack it, and convert the checkpoint in it"),
    (b"\xfd7zXZ\x00", "an xz archive", "unpack it, and convert the checkpoint in it"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "unpack it, and convert the checkpoint in it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it, and convert the checkpoint in it"),
    (b"Rar!", "a RAR archive", "unpack it, and convert the checkpoint in it"),
    (b"PK\x05\x06", "an empty zip archive", "fetch the file again"),
    (b"ptrt", "a TensorRT engine", MADE_FROM),
    (b"ftrt", "a TensorRT engine", MADE_FROM),
    (b"\x89PNG", "a PNG image", "pass the checkpoint file"),
    (b"\xff\xd8\xff", "a JPEG image", "pass the checkpoint file"),
    (b"II*\x00", "a TIFF image", "pass the checkpoint file"),
    (b"MM\x00*", "a TIFF image", "pass the checkpoint file"),
    (b"%PDF", "a PDF", "pass the checkpoint file"),
)  # fmt: skip
"""First bytes, what such a file is, and what to do."""

FOLDER_MARKS = (
    ("samzoo.json", "is a package of samzoo, which is ready to use: samzoo segment IMAGE -o LABELS "
     "--model FOLDER"),
    ("rdf.yaml", "is an unpacked BioImage.IO package; zip it, and run samzoo pull bioimageio:FILE"),
    ("weights_best.h5", "is a model of StarDist, which is no SAM"),
    ("saved_model.pb", "is a TensorFlow SavedModel, which is no SAM"),
    ("Manifest.json", "is a Core ML package, whose weights have lost their names; take the "
     "checkpoint it was made from"),
    ("plans.json", "is a model of nnU-Net, which is no SAM"),
    ("coremldata.bin", "is a compiled Core ML model, whose weights have lost their names; take the "
     "checkpoint it was made from"),
    ("zero_to_fp32.py", "is a checkpoint of DeepSpeed in parts; in it run python zero_to_fp32.py . "
     "OUT, and convert what it writes"),
    (".metadata", "is a checkpoint of FSDP in parts; run python -m "
     "torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER OUT.pth, and convert OUT.pth"),
    ("data.pkl", "is an unpacked PyTorch file, as macOS and browsers unpack downloads; fetch the "
     "file again without unpacking, or pack it in the folder above: zip -0 -r OUT.pth FOLDER"),
)  # fmt: skip
"""Files that show what a folder is, and what to say."""

FETCH_AGAIN = "delete it and fetch the file again, in a browser if the page asks to sign in"


def refuse_other_file(path: Path, start: bytes, size: int) -> None:
    """Refuse a file whose first bytes say that it is no checkpoint.

    Args:
        path: The file, for messages.
        start: Its first ``START_BYTES``.
        size: Its size in bytes.

    Raises:
        FormatError: The file is of another kind; the message says which, and what to do.
    """
    kind, remedy = _kind_of(path, start, size)
    if kind:
        raise FormatError(f"{path}: is {kind}, not a checkpoint; {remedy}")


def _kind_of(path: Path, start: bytes, size: int) -> tuple[str, str]:
    if start.startswith(LFS_START):
        wanted = re.search(rb"^size (\d{1,18})$", start, re.MULTILINE)
        expected = f", the weights have {int(wanted[1])}" if wanted else ""
        return (
            f"a git-lfs pointer ({size} bytes{expected})",
            "run git lfs pull in its repository, or download the file itself",
        )
    for first, kind, remedy in STARTS:
        if start.startswith(first):
            return kind, remedy
    if is_web_page(start):
        return f"a web page of {size} bytes, often an error or a login", FETCH_AGAIN
    text = start.lstrip(PADDING).lower()
    if b"<net name=" in text:
        return "an OpenVINO model, whose weights have lost their names", MADE_FROM
    if text.startswith((b"<?xml", b"<error")):
        return f"an XML text of {size} bytes, often a server's error message", FETCH_AGAIN
    if text.startswith((b"{", b"[")) and b"\x00" not in start:
        return _json_kind(path, size)
    if start[4:8] == b"ORTM":
        return "an onnxruntime model, whose weights have lost their names", MADE_FROM
    if start[4:8] == b"TFL3":
        return "a TensorFlow Lite model", MADE_FROM
    if path.suffix == ".mlmodel":
        return "a Core ML model, whose weights have lost their names", MADE_FROM
    if path.suffix == ".msgpack":
        return "a file of Flax", "samzoo reads SAMs in PyTorch or safetensors files"
    if path.suffix == ".distcp":
        return "a part of a checkpoint of FSDP", "pass its folder, to be told what to do"
    if start[257:262] == b"ustar":
        return "a tar archive", "unpack it, and convert the checkpoint in it"
    if _is_protobuf(start):
        if start[1] == 1 or path.suffix == ".pb":
            return "a TensorFlow SavedModel", "samzoo reads SAMs in PyTorch or safetensors files"
        return (
            "an ONNX model, whose weights have lost their names",
            "take the checkpoint it was exported from; a package of samzoo is a whole folder",
        )
    if start and not any(start):
        return f"nothing but zeros at its start ({size} bytes), a broken download", "fetch it again"
    line = _first_line(start)
    if line:
        return (
            f"a text of {size} bytes, {shown(line, limit=60)}",
            "pass the checkpoint; if it should be one, fetch it again, in a browser if the page "
            "asks to sign in",
        )
    return "", ""


def _first_line(start: bytes) -> str:
    """Return the first line of a text; empty if the bytes are no text."""
    encoding = "utf-16" if start.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    # The last bytes may be half a character.
    text = start.decode(encoding, errors="ignore" if len(start) == START_BYTES else "replace")
    if not all(char.isprintable() or char in "\t\r\n\f" for char in text) or "\ufffd" in text:
        return ""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _json_kind(path: Path, size: int) -> tuple[str, str]:
    if path.name == "adapter_config.json":
        return "the config of an adapter", f"samzoo adapter read {path.parent} --base BASE -o OUT"
    if path.name == "config.json":
        return "a config", f"pass its folder: {path.parent}"
    return f"a JSON text of {size} bytes, often a server's error message", FETCH_AGAIN


def _is_protobuf(start: bytes) -> bool:
    """Whether a number up to 32 stands in field 1, and a text or message in another follows."""
    return len(start) > 3 and start[0] == 8 and start[1] <= 32 and start[2] in b"\x12\x1a\x22:B"


def refuse_other_folder(folder: Path) -> None:
    """Refuse a folder that is no ``SamModel`` and whose files say what it is.

    Raises:
        FormatError: The message says what the folder is, and what to do.
    """
    for name, sentence in FOLDER_MARKS:
        if (folder / name).exists():
            raise FormatError(f"{folder}: {sentence}")


def missing_file(path: Path) -> str:
    """Say why there is no file at a path."""
    if re.match(r"https?:/", str(path)):
        return "is an address; download the file, and pass its path"
    if path.is_symlink():
        return f"is a link to {path.readlink()}, which does not exist; fetch the file again"
    if path.exists():
        return "is not a file"
    return "no such file"


def described_folder(folder: Path) -> str:
    """Say what a folder without a single checkpoint is, and what to do."""
    files = sorted(
        path for path in folder.glob("*")
        if path.suffix in (".pth", ".pt", ".ckpt", ".bin", ".safetensors")
        and path.name not in ("optimizer.bin", "scheduler.bin", "optimizer.pt", "scheduler.pt")
    )  # fmt: skip
    advice = f"such as {files[0]}" if files else "if there is one"
    return (
        "is a folder without the config of a Hugging Face model; pass the checkpoint file in it, "
        f"{advice}"
    )


def refuse_other_archive(path: Path, names: Collection[str]) -> None:
    """Refuse a zip archive that ``torch.save`` did not write.

    Args:
        path: The file, for messages.
        names: The names of the archive's entries.

    Raises:
        FormatError: The archive is of another kind; the message says which, and what to do.
    """
    lasts = {name.rpartition("/")[2] for name in names}
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in names):
        raise FormatError(
            f"{path}: is a TorchScript archive; files that contain code are not loaded. Save the "
            "state dict of the model (torch.save(model.state_dict(), ...)), and convert that"
        )
    if any(name.endswith("/data.pkl") and name.count("/") == 1 for name in names):
        return
    kind, remedy = _archive_kind(path, names, lasts)
    raise FormatError(
        f"{path}: is {kind}, not a usable PyTorch checkpoint (it has no data.pkl); {remedy}"
    )


def _archive_kind(path: Path, names: Collection[str], lasts: Collection[str]) -> tuple[str, str]:
    if any(name in lasts for name in ("rdf.yaml", "bioimageio.yaml")):
        return "a BioImage.IO package", f"run: samzoo pull bioimageio:{path}"
    if "samzoo.json" in lasts:
        return "a zipped package of samzoo", "unpack it, and use the folder with --model"
    if "model.weights.h5" in lasts:
        return "a Keras model", "samzoo reads SAMs in PyTorch or safetensors files"
    if "saved_model.pb" in lasts:
        return "a TensorFlow SavedModel", "samzoo reads SAMs in PyTorch or safetensors files"
    if names and all(name.endswith(".npy") for name in lasts if name):
        return "an archive of NumPy arrays (.npz)", "pass a PyTorch or safetensors file"
    if "archive_format" in lasts or any(name.endswith("serialized_exported_program.json")
                                        for name in names):  # fmt: skip
        return (
            "a program that torch.export wrote",
            "save the state dict of the model, and convert that",
        )
    inside = [
        name for name in names if name.endswith((".pth", ".pt", ".ckpt", ".bin", ".safetensors"))
    ]
    if inside:
        return "a zip archive", f"unpack it, and convert {shown(inside[0], limit=80)}"
    return "a zip archive", "unpack it, and convert the checkpoint in it"


def check_safetensors_size(path: Path, size: int) -> None:
    """Refuse a safetensors file that is shorter than its header says.

    A file whose header does not make sense is left to the reader of the format.

    Raises:
        FormatError: Bytes are missing; the message says how many there are and should be.
    """
    with path.open("rb") as file:
        first = file.read(8)
        length = int.from_bytes(first, "little")
        if length > MAX_HEADER_BYTES:
            return
        text = file.read(length)
    if len(text) < length:
        raise FormatError(
            f"{path}: is cut off: found {size} bytes, its header alone needs {8 + length}; "
            "fetch the file again"
        )
    try:
        header = json.loads(text)
        ends = [int(e["data_offsets"][1]) for n, e in header.items() if n != "__metadata__"]
    except (AttributeError, KeyError, LookupError, RecursionError, TypeError, ValueError):
        return
    expected = 8 + length + max(ends, default=0)
    if size < expected:
        raise FormatError(
            f"{path}: is cut off: found {size} bytes, its header says {expected}; "
            "fetch the file again"
        )
