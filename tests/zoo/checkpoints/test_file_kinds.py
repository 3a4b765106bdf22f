"""Files that are no checkpoints: what each is, and what to do, is said by their content."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from samzoo.runtime.errors import FormatError, NotFoundError
from samzoo.runtime.formats.files import write_tensors
from samzoo.zoo.checkpoints.reading import read_checkpoint

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912\n"
    b"size 375042383\n"
)


def archive(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, b"content")
    return buffer.getvalue()


def tarred():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        file.addfile(tarfile.TarInfo("sam.pth"))
    return buffer.getvalue()


def numpy_file():
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    return buffer.getvalue()


KINDS = {
    "git-lfs": (POINTER, r"a git-lfs pointer \(\d+ bytes, the weights have 375042383\).*lfs pull"),
    "html": (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", "a web page .*fetch the file"),
    "html with space": (b"\xef\xbb\xbf \n<HTML>", "a web page"),
    "html comment": (b"<!-- saved --><html>", "a web page"),
    "text": (b"Entry not found", "a text of 15 bytes, 'Entry not found', not a checkpoint; pass"),
    "utf-16": ("<html>".encode("utf-16"), "a text of 14 bytes, '<html>'"),
    "openvino": (b'<?xml version="1.0"?><net name="sam" version="11">', "an OpenVINO model"),
    "ort": (b"\x1c\0\0\0ORTM" + bytes(20), "an onnxruntime model"),
    "xml": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "an XML text"),
    "json": (b'{"message": "Not Found"}', "a JSON text .*server's error message"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(64), "an HDF5 file, as Keras .*StarDist"),
    "gguf": (b"GGUF\x03\0\0\0", "a GGUF file"),
    "numpy": (numpy_file(), "a NumPy array"),
    "gzip": (gzip.compress(b"a"), "a gzip archive.*unpack it"),
    "tar": (tarred(), "a tar archive.*unpack it"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive"),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(20), "a TensorFlow Lite model"),
    "onnx": (b"\x08\x07\x12\x07pytorch\x1a\x052.1.0:\x10", "an ONNX model.*exported from"),
    "png": (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    "zeros": (bytes(5000), r"nothing but zeros at its start \(5000 bytes\)"),
    "empty": (b"", "is empty: found 0 bytes; fetch the file again"),
    "bioimage.io": (archive("rdf.yaml", "weights.pt"), "BioImage.IO package.*pull bioimageio:"),
    "keras": (archive("metadata.json", "config.json", "model.weights.h5"), "a Keras model"),
    "saved model": (archive("m/saved_model.pb", "m/variables/variables.index"), "SavedModel"),
    "npz": (archive("a.npy", "b.npy"), r"an archive of NumPy arrays"),
    "zipped checkpoint": (archive("weights/sam.pth"), "unpack it, and convert 'weights/sam.pth'"),
    "other zip": (archive("readme.txt"), "is a zip archive, not a usable PyTorch checkpoint"),
    "torchscript": (archive("a/data.pkl", "a/constants.pkl"), "a TorchScript archive"),
    "torchscript code": (archive("a/data.pkl", "a/code/__torch__.py"), "a TorchScript archive"),
}


@pytest.mark.parametrize("name", ["sam.pth", "model.safetensors"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_kind_is_called_what_it_is(kind, name, tmp_path):
    content, message = KINDS[kind]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FormatError, match=rf"{name}: .*{message}"):
        read_checkpoint(path)


@pytest.mark.parametrize("left", [4, 30, 200, 400])
def test_a_short_safetensors_file_says_what_is_missing(left, tmp_path):
    path = tmp_path / "model.safetensors"
    write_tensors(path, {"a": np.arange(100, dtype=np.float32)}, {})
    whole = path.read_bytes()
    path.write_bytes(whole[:left])
    with pytest.raises(FormatError) as caught:
        read_checkpoint(path)
    message = str(caught.value)
    if left > 100:
        assert f"is cut off: found {left} bytes, its header says {len(whole)}" in message
    elif left > 8:
        assert f"is cut off: found {left} bytes, its header alone needs" in message


@pytest.mark.parametrize("new", [True, False])
def test_half_a_pytorch_file_says_what_is_missing(new, tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "sam.pth"
    state = {"a": torch.ones(1000), "b": torch.ones(5000)}
    torch.save(state, path, _use_new_zipfile_serialization=new)
    path.write_bytes(path.read_bytes()[:6000])
    message = "its tensors alone have 24000" if new else r"ends at byte 2\d{4}, the file has 6000"
    with pytest.raises(FormatError, match=f"is cut off: .*{message}; fetch the file again"):
        read_checkpoint(path)


def test_what_is_no_file_says_why(tmp_path):
    (tmp_path / "link.pth").symlink_to(tmp_path / "blob")
    cases = {
        tmp_path / "link.pth": "is a link to .*blob, which does not exist; fetch",
        Path("https://example.org/sam.pth"): "is an address; download the file",
        tmp_path / "a.pth": "no such file",
    }
    for path, message in cases.items():
        with pytest.raises(NotFoundError, match=message):
            read_checkpoint(path)


def test_a_pytorch_file_zipped_again_says_so(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.ones(1000)}, tmp_path / "a.pth")
    with (
        zipfile.ZipFile(tmp_path / "a.pth") as old,
        zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(FormatError, match=r"unpacked and zipped again, with comp.*zip -0 -r"):
        read_checkpoint(tmp_path / "b.pth")


def test_configs_lead_to_their_folders(tmp_path):
    for name, hint in (("adapter_config.json", "samzoo adapter read"), ("config.json", "folder")):
        (tmp_path / name).write_text("{}")
        with pytest.raises(FormatError, match=hint):
            read_checkpoint(tmp_path / name)


FOLDERS = {
    "samzoo.json": "is a package of samzoo, which is ready to use",
    "weights_best.h5": "is a model of StarDist",
    "saved_model.pb": "is a TensorFlow SavedModel",
    "rdf.yaml": "is an unpacked BioImage.IO package",
    "zero_to_fp32.py": r"is a checkpoint of DeepSpeed.*python zero_to_fp32\.py",
    ".metadata": "is a checkpoint of FSDP in parts; run python -m torch.distributed",
    "data.pkl": "is an unpacked PyTorch file.*zip -0 -r",
    "coremldata.bin": "is a compiled Core ML model",
    "sam.pth": r"pass the checkpoint file in it, such as .*sam\.pth",
    "notes.txt": "pass the checkpoint file in it, if there is one",
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_another_kind_is_called_what_it_is(name, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / name).touch()
    with pytest.raises(FormatError, match=f"folder: .*{FOLDERS[name]}"):
        read_checkpoint(tmp_path / "folder")
