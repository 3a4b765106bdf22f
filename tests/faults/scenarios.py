"""What the fault injector runs: a command of each verb that writes, in a folder with its inputs.

In: an empty folder, and a tiny base. Out: commands, what they write, and what a user does after a
failure.
"""

import importlib.util
import json
import shutil
from dataclasses import dataclass
from typing import Any

import numpy as np
import tifffile
import tiny
from conftest import draw_discs, make_toy_config, write_toy_package

from samzoo.runtime.formats.files import read_tensors, write_tensors
from samzoo.runtime.formats.shapes import tensor_shapes
from samzoo.zoo.hub.model_index import write_index


@dataclass(frozen=True)
class Scenario:
    """A command that is stopped at each of its file operations.

    Attributes:
        name: For the table.
        command: The words of the command line that is stopped.
        outputs: What it writes. Each is a file or a folder that must at any time be the old one or
            the new one.
        before: Commands that write what is there before.
        again: What a user then types: the first of these that does not fail must make the new
            outputs.
        inside: Outputs that grow file by file, each of which must be whole at the end alone.
        needs: Packages without which there is no such verb.
    """

    name: str
    command: str
    outputs: tuple[str, ...]
    before: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()

    @property
    def missing(self):
        """The packages that are not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


TRAIN = (
    "train --base base --images noisy.tif --labels noisy_truth.tif --config quick.toml "
    "--val-images other.tif --val-labels other_truth.tif -o run"
)
SEGMENT = "segment cells.tif --model package"

SCENARIOS = [
    Scenario("merge", "merge lora -o m --force", ("m",), before=("merge lora2 -o m",)),
    Scenario("convert", "convert sam.safetensors -o b --name new --force", ("b",),
             before=("convert sam.safetensors -o b --name old",)),
    Scenario("sum", "sum lora lora2 --weights 1 2 -o s --force", ("s",),
             before=("sum lora lora2 --weights 1 1 -o s",)),
    Scenario("adapter write", "adapter write lora --to peft -o x --force", ("x",),
             before=("adapter write lora2 --to peft -o x",)),
    Scenario("export", "export base -o p --name new --force", ("p",),
             before=("export base -o p --name old",), needs=("torch", "onnx")),
    Scenario("index", "index package -o index.json --force", ("index.json",),
             before=("index dim -o index.json",)),
    Scenario("pull", "pull toy", ("cache",), inside=("cache",)),
    Scenario("publish", "publish small --to bioimageio:m.zip --force", ("m.zip",),
             before=("publish old --to bioimageio:m.zip",), needs=("torch", "onnx")),
    Scenario("gallery", "gallery package -o site --force", ("site",),
             before=("gallery dim -o site",)),
    Scenario("segment, TIFF", f"{SEGMENT} -o out.tif --overlay o.png --table t.csv --force",
             ("out.tif", "o.png", "t.csv"),
             before=("segment dim.tif --model package -o out.tif --overlay o.png --table t.csv",)),
    Scenario("segment, folder", "segment images --model package -o out --force", ("out",),
             inside=("out",)),
    Scenario("segment, Zarr", f"{SEGMENT} -o out.zarr --force", ("out.zarr",),
             before=("segment dim.tif --model package -o out.zarr",), needs=("zarr",)),
    Scenario("segment, Zarr label", "segment cells.zarr --model package "
             "-o cells.zarr/labels/found --force", ("cells.zarr",),
             before=("segment cells.zarr --model package --min-size 9999 "
                     "-o cells.zarr/labels/found",), needs=("zarr",)),
    Scenario("segment, pieces", "segment stack.tif --stack volume --model package -o out.tif "
             "--table t.csv --force", ("out.tif", "t.csv"),
             before=("segment stack.tif --stack frames --model package -o out.tif --table t.csv",)),
    Scenario("embed", "embed cells.tif --model package -o e.safetensors --force",
             ("e.safetensors",), before=("embed dim.tif --model package -o e.safetensors",)),
    Scenario("embed, store", "embed cells.tif --model package --store store", ("store",),
             inside=("store",)),
    Scenario("prompt", "prompt cells.tif --model package --box 10 10 30 30 -o q.tif --force",
             ("q.tif",), before=("prompt dim.tif --model package --box 50 80 80 120 -o q.tif",)),
    Scenario("train", TRAIN, ("run/adapter_model.safetensors",),
             again=(f"{TRAIN} --resume", TRAIN), inside=("run/adapter_model.safetensors",),
             needs=("torch", "lightning_fabric")),
]  # fmt: skip


def write_folder(folder, work, *, publishing=True):
    """Write the inputs of scenarios; commands run in ``work``, a copy of the folder.

    What is published takes the longest: it is left out if ``publishing`` is false.
    """
    folder.mkdir()
    write_toy_package(folder / "package", config=make_toy_config(object_diameter=10.0))
    write_toy_package(folder / "dim", name="dim")
    _write_images(folder)
    config = tiny.make_config()
    weights = tiny.seeded_weights(tensor_shapes(config.architecture))
    tiny.write_weights(folder / "base", config, weights)
    hyperparameters = {"rank": 2, "matrices": ["q", "v"]}
    for seed, name in enumerate(("lora", "lora2")):
        tiny.write_lora_adapter(
            folder / name,
            folder / "base",
            "lora",
            hyperparameters,
            seed=seed,
            base_path=str(work / "base"),
        )
    write_tensors(
        folder / "sam.safetensors", read_tensors(folder / "base" / "model.safetensors"), {}
    )
    (folder / "quick.toml").write_text(tiny.QUICK.replace("epochs = 1", "epochs = 2"))
    write_index([folder / "package"], folder / "zoo.json")
    if publishing:
        _write_small(folder)


def _write_images(folder):
    both = draw_discs((60, 80), [(20, 20), (40, 60)], high=200)
    files = {
        "cells": both, "dim": draw_discs((60, 80), [(40, 60)], high=200),
        "stack": np.stack([both, both, both]),
    }  # fmt: skip
    for name, seed in (("noisy", 0), ("other", 1)):
        image, labels = tiny.make_cells((48, 64), seed, radius=5)
        files |= {name: image, f"{name}_truth": labels.astype(np.uint8)}
    for name, pixels in files.items():
        axes = {"axes": "ZYX"} if pixels.ndim == 3 else None
        tifffile.imwrite(folder / f"{name}.tif", pixels, photometric="minisblack", metadata=axes)
    (folder / "images").mkdir()
    for name in ("cells", "dim"):
        shutil.copyfile(folder / f"{name}.tif", folder / "images" / f"{name}.tif")
    if importlib.util.find_spec("zarr"):
        import zarr

        group = zarr.open_group(str(folder / "cells.zarr"), mode="w", zarr_format=2)
        group.create_array("0", data=both, chunks=(32, 32))
        spatial = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
        transform = [{"type": "scale", "scale": [1.0, 1.0]}]
        attributes: Any = group.attrs
        attributes["multiscales"] = [{
            "version": "0.4", "axes": spatial,
            "datasets": [{"path": "0", "coordinateTransformations": transform}],
        }]  # fmt: skip


def _write_small(folder):
    """Write two packages that can be published."""
    from samzoo.zoo import export
    from samzoo.zoo.cards.card import MANDATORY

    named = {"base": {"name": "tiny"}, "license": "CC0-1.0"}
    shutil.copytree(folder / "base", folder / "named")
    config = json.loads((folder / "base" / "config.json").read_text())
    (folder / "named" / "config.json").write_text(json.dumps({**config, "source": named}))
    scores = {"data": "cells", "scores": {"box": {"msa": 0.5}}}
    for name, content in (("small", b"new"), ("old", b"old")):
        export(
            folder / "named", folder / name, segments="cells",
            metrics={"evaluations": [scores]}, card=dict.fromkeys(MANDATORY, "text"),
            files={f"bioimageio/{name}-prompts.zip": content},
        )  # fmt: skip
