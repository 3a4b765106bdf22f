"""The options of the verbs that run a model on an image: ``segment``, ``prompt``, ``embed``.

Called by ``cli_verbs.py``. Imports nothing heavy.
"""

from __future__ import annotations

import argparse
from typing import Any

from .options import add_model, add_output, add_verb


def add_runtime_verbs(verbs: Any) -> None:
    """Add them to a parser's verbs."""
    segment = add_verb(verbs, "segment", "segment all objects in images automatically")
    segment.add_argument(
        "images", nargs="+", metavar="IMAGE",
        help="TIFF, PNG, JPEG or OME-Zarr; folders and patterns too",
    )  # fmt: skip
    add_output(
        segment,
        "label image (.tif, .png), a new NAME.zarr, or IMAGE.zarr/labels/NAME; a folder for "
        "several images",
    )
    add_model(segment)
    segment.add_argument(
        "--mode", choices=("ais", "amg", "apg"), default="ais",
        help="ais: flood the AIS decoder's maps (default); apg: prompt a point in each of their "
        "seeds; amg: prompt a grid of points, slow, for models without AIS decoder",
    )  # fmt: skip
    segment.add_argument("--overlay", metavar="PNG", help="also draw the labels on the image")
    segment.add_argument("--table", metavar="CSV", help="also list the objects: area, place, touch")
    _tiles(segment)
    _large(segment)

    prompt = add_verb(verbs, "prompt", "segment the objects that points or boxes mark")
    prompt.add_argument(
        "image", metavar="IMAGE",
        help="an image, a file made by samzoo embed, or a folder of micro-sam's embeddings",
    )  # fmt: skip
    add_output(prompt, "label image (.tif, .png), one label an object")
    add_model(prompt)
    prompt.add_argument(
        "--point", nargs=2, type=float, action="append", metavar=("X", "Y"), default=[],
        help="a point of one object, in pixels",
    )  # fmt: skip
    prompt.add_argument(
        "--label", type=int, choices=(0, 1), action="append", default=[],
        help="of the point before: 1 in the object (default), 0 in the background",
    )  # fmt: skip
    prompt.add_argument(
        "--box", nargs=4, type=float, action="append", metavar=("X0", "Y0", "X1", "Y1"),
        default=[], help="one object each; with points, one box",
    )  # fmt: skip
    prompt.add_argument("--prompts", metavar="FILE.json", help="any number of objects")
    prompt.add_argument("--overlay", metavar="PNG", help="also draw the labels on the image")
    _store(prompt)
    _follow(prompt)

    embed = add_verb(verbs, "embed", "compute image embeddings once, to prompt them later")
    embed.add_argument("image", metavar="IMAGE")
    add_output(embed, "embeddings (.safetensors)", required=False)
    _store(embed)
    add_model(embed)


def _tiles(parser: argparse.ArgumentParser) -> None:
    """Options that choose the model's tiles."""
    parser.add_argument(
        "--tile-shape", nargs=2, type=int, metavar=("H", "W"),
        help="of what each tile gives (default: as few tiles as cover the image)",
    )  # fmt: skip
    parser.add_argument(
        "--halo", nargs=2, type=int, metavar=("H", "W"),
        help="least that a tile sees around it (default: an eighth of the model's field of view)",
    )  # fmt: skip
    parser.add_argument(
        "--placements", type=int, default=1, metavar="N",
        help="average over N placements of the tiles: steadier, N times as long (default: 1)",
    )  # fmt: skip


def _follow(parser: argparse.ArgumentParser) -> None:
    """Options that follow prompted objects through a stack."""
    parser.add_argument(
        "--slice", type=int, metavar="Z",
        help="the prompts are in this slice of a stack; follow the objects through the others",
    )  # fmt: skip
    parser.add_argument(
        "--projection", default="box",
        choices=("box", "mask", "points", "points_and_mask", "single_point"),
        help="with --slice: what of a slice's mask prompts the next one (default: box)",
    )  # fmt: skip
    parser.add_argument(
        "--iou-threshold", type=float, default=0.8, metavar="IOU",
        help="with --slice: an object ends where two slices agree less (default: 0.8)",
    )  # fmt: skip
    parser.add_argument(
        "--box-extension", type=float, default=0.0, metavar="X",
        help="with --slice: widen boxes by this share, or from 1 on by so many pixels",
    )  # fmt: skip


def _source(parser: argparse.ArgumentParser) -> None:
    """Options that choose an image in a file."""
    parser.add_argument("--level", type=int, metavar="N", help="of a pyramid; 0 is full size")
    parser.add_argument("--series", type=int, metavar="N", help="of a TIFF with several images")
    parser.add_argument("--channel", type=int, metavar="N", help="of an image with several")
    parser.add_argument("--plane", type=int, metavar="N", help="one plane of a stack")


def _store(parser: argparse.ArgumentParser) -> None:
    """Options of embeddings that are kept."""
    parser.add_argument(
        "--store", metavar="DIR",
        help="keep embeddings here, tile by tile, and encode only tiles that are needed and not "
        "there; for images of any size",
    )  # fmt: skip
    _source(parser)


def _large(segment: argparse.ArgumentParser) -> None:
    """Options of pyramids, stacks and clusters."""
    _source(segment)
    segment.add_argument(
        "--stack", choices=("volume", "frames"),
        help="all planes; volume: join objects over slices; frames: number each plane apart",
    )  # fmt: skip
    segment.add_argument(
        "--gap-closing", type=int, default=0, metavar="N",
        help="of a volume: close holes of up to twice as many slices",
    )  # fmt: skip
    segment.add_argument(
        "--min-z-extent", type=int, default=0, metavar="N",
        help="of a volume: drop objects in fewer slices",
    )  # fmt: skip
    segment.add_argument(
        "--workers", type=int, metavar="N", help="processes of this machine that share the work"
    )
    segment.add_argument(
        "--scheduler", metavar="ADDRESS", help="of a Dask cluster, tcp://HOST:PORT"
    )
