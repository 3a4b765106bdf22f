"""Writes the folder that the walk runs in: one of everything, all of it tiny."""

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import tifffile
import tiny
from conftest import draw_discs, make_toy_config, write_toy_package, write_toy_shared_package
from tiny_recipe import recipe_text, write_files_csv

from samzoo.runtime.formats.architecture import Architecture
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.files import read_tensors, write_tensors
from samzoo.runtime.formats.shapes import tensor_shapes

GOLDENS = Path(__file__).parents[1] / "goldens"

EXPORTING = ("torch", "onnx")
"""Without these packages there is no ``small`` package, and nothing that walks over it."""


def write_folder(folder, base):
    """Write everything that the ways of the table name; ``base`` is a tiny base folder."""
    folder.mkdir()
    write_toy_package(folder / "package", config=make_toy_config(object_diameter=10.0))
    write_toy_shared_package(folder / "toys", gains={"bright": 2.0, "dark": 0.5})
    _write_images(folder)
    _write_choices(folder)
    (folder / "card.toml").write_text('description = "Finds cells."')
    (folder / "prompts.json").write_text(json.dumps([{"box": [10, 10, 30, 30]}]))
    shutil.copytree(base, folder / "base")
    lora = {"rank": 2, "matrices": ["q", "v"]}
    _write_recipe(folder)
    for seed, (name, method, fields) in enumerate((
        ("lora", "lora", {}), ("lora2", "lora", {}), ("qlora", "qlora", {}),
        ("moved", "lora", {"base_path": "gone"}),
    )):  # fmt: skip
        tiny.write_lora_adapter(folder / name, base, method, lora, seed=seed, **fields)
    shutil.copytree(GOLDENS / "peft_qkv", folder / "peft")
    _write_checkpoints(folder)
    (folder / "quick.toml").write_text(tiny.QUICK)
    (folder / "plain.toml").write_text(tiny.QUICK.split("[hyper")[0])
    (folder / "slower.toml").write_text(tiny.QUICK.replace("rank = 2", "rank = 3"))
    if all(importlib.util.find_spec(name) for name in EXPORTING):
        _write_small(folder)


def _write(path, pixels, **options):
    axes = {"axes": "ZYX"} if pixels.ndim == 3 else None
    tifffile.imwrite(path, pixels, photometric="minisblack", **{"metadata": axes, **options})


def _write_images(folder):
    centers = [(20, 20), (64, 96)]
    rod = [draw_discs((60, 70), [(20, 20 + z)] if 0 < z < 5 else []) for z in range(6)]
    rod[3] = np.maximum(rod[3], draw_discs((60, 70), [(40, 50)]))
    truth = draw_discs((100, 150), centers[:1], high=1) + draw_discs(
        (100, 150), centers[1:], high=2
    )
    train, train_labels = tiny.make_cells((48, 64), 0, radius=5)
    other, other_labels = tiny.make_cells((48, 64), 1, radius=5)
    files = {
        "cells": draw_discs((100, 150), centers, high=200),
        "dim": draw_discs((100, 150), centers, high=100),
        "truth": truth, "one": (truth == 1).astype(np.uint8),
        "binary": np.where(truth > 0, 255, 0).astype(np.uint8),
        "mask": (truth == 1).astype(np.uint8),
        "stack": np.stack(rod), "dims": np.stack([p // 255 * 100 for p in rod]),
        "gap": np.stack([rod[1], 0 * rod[1], rod[1], rod[1]]),
        "noisy": train, "noisy_truth": train_labels.astype(np.uint8),
        "noisy_binary": np.where(train_labels > 0, 255, 0).astype(np.uint8),
        "other": other, "other_truth": other_labels.astype(np.uint8),
    }  # fmt: skip
    for name, pixels in files.items():
        _write(folder / f"{name}.tif", pixels)
    _write_parts(folder)


def _write_parts(folder):
    """Two folders with three annotated images, and a table that says what each is for."""
    for kind in ("images", "labels"):
        (folder / "field" / kind).mkdir(parents=True)
    for seed in range(3):
        image, labels = tiny.make_cells((48, 64), seed, radius=5)
        _write(folder / "field" / "images" / f"{seed}.tif", image)
        _write(folder / "field" / "labels" / f"{seed}.tif", labels.astype(np.uint8))
    (folder / "parts.csv").write_text("file,split\n0.tif,train\n1.tif,val\n2.tif,test\n")


def _write_recipe(folder):
    """A recipe of the annotated images in ``field``, and the list of their hashes."""
    (folder / "recipe.toml").write_text(recipe_text(folder / "base", "field"))
    write_files_csv(folder, "field", folder / "files.csv")


def _write_choices(folder):
    """Files that hold two pictures each, of which the options for reading choose one."""
    for wanted, beside in (("cells", "dim"), ("noisy", "other")):
        right, wrong = (tifffile.imread(folder / f"{name}.tif") for name in (wanted, beside))
        large = np.kron(wrong, np.ones((2, 2), np.uint8))
        with tifffile.TiffWriter(folder / f"{wanted}_levels.ome.tif", ome=True) as file:
            file.write(large, subifds=1, metadata={"axes": "YX"}, photometric="minisblack")
            file.write(right, subfiletype=1, photometric="minisblack")
        with tifffile.TiffWriter(folder / f"{wanted}_series.ome.tif", ome=True) as file:
            for pixels in (wrong, right):
                file.write(pixels, metadata={"axes": "YX"}, photometric="minisblack")
        both = np.stack([wrong, right])
        for choice, axes in (("channels", "CYX"), ("planes", "TYX")):
            _write(folder / f"{wanted}_{choice}.ome.tif", both, metadata={"axes": axes}, ome=True)


def _write_checkpoints(folder):
    """The base as a checkpoint, two SAMs in one file, and micro-sam's AIS decoder alone."""
    tensors = read_tensors(folder / "base" / "model.safetensors")
    config = ModelConfig.read(folder / "base" / "config.json")
    write_tensors(folder / "sam.safetensors", tensors, {})
    two = {f"model.{name}": value for name, value in tensors.items()}
    two |= {f"model_ema.{name}": value + np.float32(1) for name, value in tensors.items()}
    write_tensors(folder / "two.safetensors", two, {})
    encoder = config.architecture.image_encoder
    unetr = Architecture(image_encoder=encoder, ais_decoder=tiny.UNETR_DECODER)
    shapes = {
        name.removeprefix("ais_decoder."): shape
        for name, shape in tensor_shapes(unetr).items()
        if name.startswith("ais_decoder.")
    }
    write_tensors(folder / "decoder.safetensors", tiny.seeded_weights(shapes), {})


def _write_small(folder):
    """A whole package, with its own test, a complete card and a zip for BioImage.IO."""
    from samzoo.zoo import export
    from samzoo.zoo.cards.card import MANDATORY

    named = {"base": {"name": "tiny"}, "license": "CC0-1.0"}
    config = json.loads((folder / "base" / "config.json").read_text())
    shutil.copytree(folder / "base", folder / "named")
    (folder / "named" / "config.json").write_text(json.dumps({**config, "source": named}))
    scores = {"data": "cells", "scores": {"box": {"msa": 0.5}}}
    export(
        folder / "named", folder / "small", segments="cells", metrics={"evaluations": [scores]},
        card=dict.fromkeys(MANDATORY, "text"), files={"bioimageio/small-prompts.zip": b"zip"},
    )  # fmt: skip
    (folder / "old.zip").write_bytes(b"old")
