"""The kinds of files that strangers write: a good one of each, and what reads it."""

import io
import json
import os
import pickle
import shutil
import struct
import zipfile
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from samzoo.runtime import read_image
from samzoo.runtime.engine.graph_contract import check_graph
from samzoo.runtime.formats.adapter import read_adapter_config
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.files import read_tensors
from samzoo.runtime.formats.manifest import Manifest
from samzoo.runtime.images.opening import read_plane
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.training.config import PRESETS, TrainConfig
from samzoo.zoo import resolve
from samzoo.zoo.checkpoints.reading import read_state_dicts
from samzoo.zoo.cli.prompt_file import read_prompts
from samzoo.zoo.downloads.downloadable import check_downloadable
from samzoo.zoo.exchange.peft_config import read_scaling
from samzoo.zoo.gallery.markdown import to_html
from samzoo.zoo.hub.model_index import read_index
from samzoo.zoo.hub.package_zip import unpack_package
from samzoo.zoo.packages.summary import summarise


class Runs:
    """A pickle that would leave a file if it ran."""

    def __reduce__(self):
        return os.mkdir, (os.environ["CANARY"],)


def manifest(path):
    found = Manifest.read(path.parent)
    check_downloadable(found, where=str(path))
    return summarise(found)


def shipped(name):
    return (resolve("nuclei-vit-t") / name).read_bytes()


def as_json(value):
    return json.dumps(value).encode()


def config():
    found = json.loads(shipped("samzoo.json"))["model"]
    return as_json({"format": {"name": "samzoo-model", "version": 1}, **found})


def adapter():
    found = json.loads(config())
    return as_json({
        "format": {"name": "samzoo-adapter", "version": 1}, "method": "lora",
        "hyperparameters": {"rank": 4}, "base_digest": "sha256:0", "adapter_digest": "sha256:0",
        "architecture": found["architecture"], "preprocessing": found["preprocessing"],
        "ais": found["ais"], "source": found["source"],
    })  # fmt: skip


def index():
    summary = {"segments": "", "base": "", "method": "", "megabytes": 1.0, "license": "",
               "scores": {"ais": 0.5}}  # fmt: skip
    entry = {"name": "a", "manifest": "a/samzoo.json", "sha256": "0" * 64, "summary": summary}
    return as_json({"format": {"name": "samzoo-index", "version": 1}, "models": [entry]})


def tiff(**options):
    file = io.BytesIO()
    tifffile.imwrite(file, np.arange(1200, dtype=np.uint16).reshape(30, 40), **options)
    return file.getvalue()


def picture(kind):
    file = io.BytesIO()
    Image.fromarray(np.arange(1200, dtype=np.uint8).reshape(30, 40)).save(file, kind)
    return file.getvalue()


def tensors():
    header = as_json({
        "a.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "b": {"dtype": "I64", "shape": [], "data_offsets": [24, 32]},
    })  # fmt: skip
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + bytes(32)


def package_zip():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("samzoo.json", shipped("samzoo.json"))
        archive.writestr("README.md", shipped("README.md"))
    return file.getvalue()


def checkpoint():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": {}, "b": Runs()}, protocol=2))
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


def unpacked(path):
    shutil.rmtree(path.parent / "out", ignore_errors=True)  # that of the file before
    unpack_package(path, path.parent / "out", where=str(path))


def page(path):
    to_html(path.read_text(errors="replace"))


def zarr_of(path, name, good):
    """Read a Zarr of which one file is hostile."""
    pytest.importorskip("zarr")
    image = path.with_name(f"{path.name}.d")
    image.mkdir(exist_ok=True)
    for each, data in {**good, name: path.read_bytes()}.items():
        (image / each).write_bytes(data)
    read_plane(SourceSpec(str(image)))


ZARR = {
    ".zarray": as_json({
        "zarr_format": 2, "shape": [30, 40], "chunks": [30, 40], "dtype": "<u2", "order": "C",
        "fill_value": 0, "filters": None, "compressor": {"id": "zlib", "level": 1}}),
    "0.0": zlib.compress(np.arange(1200, dtype=np.uint16).tobytes()),
}  # fmt: skip


def graph(path):
    role_config = Manifest.read(resolve("nuclei-vit-t")).model
    check_graph(path.read_bytes(), "ais_decoder", role_config, where=str(path))


KINDS = {
    "config.json": (config, ModelConfig.read, True),
    "adapter_config.json": (adapter, read_adapter_config, True),
    "samzoo.json": (lambda: shipped("samzoo.json"), manifest, True),
    "peft.json": (lambda: as_json({
        "peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["qkv"], "bias": "none",
        "alpha_pattern": {"blocks.1": 4}, "rank_pattern": {}, "use_rslora": False}),
        read_scaling, True),
    "prompts.json": (lambda: as_json(
        [{"points": [[1, 2]], "labels": [1], "box": [0, 0, 5, 5]}, {"box": [1, 1, 2, 2]}]),
        read_prompts, True),
    "index.json": (index, lambda path: read_index(path.as_uri()), True),
    "train.toml": (
        (PRESETS / "laptop.toml").read_bytes, lambda path: TrainConfig.read(str(path)), False),
    "model.safetensors": (tensors, read_tensors, False),
    "graph.onnx": (lambda: shipped("onnx/ais_decoder.onnx")[-60_000:], graph, False),
    "whole.onnx": (lambda: shipped("onnx/ais_decoder.onnx"), graph, False),
    "checkpoint.pth": (checkpoint, read_state_dicts, False),
    "pickle.pth": (
        lambda: pickle.dumps([{"model": Runs()}, {"a": [1] * 100}], protocol=4),
        read_state_dicts, False),
    "package.zip": (package_zip, unpacked, False),
    "image.tif": (tiff, read_image, False),
    "deflated.tif": (lambda: tiff(compression="zlib", tile=(16, 16)), read_image, False),
    "image.png": (lambda: picture("png"), read_image, False),
    "image.jpg": (lambda: picture("jpeg"), read_image, False),
    "described.zarr": (
        lambda: ZARR[".zarray"], lambda path: zarr_of(path, ".zarray", ZARR), True),
    "chunk.zarr": (lambda: ZARR["0.0"], lambda path: zarr_of(path, "0.0", ZARR), False),
    "card.md": (lambda: shipped("README.md"), page, False),
}  # fmt: skip
