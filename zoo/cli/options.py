"""What verbs have in common: an example each, and the options for output, model and JSON.

Called by ``cli_verbs.py`` and ``cli_runtime_verbs.py``. Imports nothing heavy.
"""

from __future__ import annotations

import argparse
from typing import Any

EXAMPLES = {
    "segment": "samzoo segment examples/nuclei.tif -o labels.tif --overlay overlay.png",
    "prompt": "samzoo prompt examples/nuclei.tif -o nucleus.tif --box 129 60 152 85",
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


def add_verb(verbs: Any, name: str, purpose: str) -> argparse.ArgumentParser:
    """Add a verb with its example."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, help=purpose, description=purpose, epilog=f"example: {EXAMPLES[name]}"
    )
    parser.add_argument("--debug", action="store_true", help="show our traceback on errors")
    return parser


def add_output(
    parser: argparse.ArgumentParser, what: str, *, force: bool = True, required: bool = True
) -> None:
    """Add ``--output``, and ``--force`` where a result may be replaced."""
    parser.add_argument("-o", "--output", required=required, metavar="OUT", help=what)
    if force:
        parser.add_argument("--force", action="store_true", help="replace an existing output")
    add_json(parser)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose a model and where it runs."""
    parser.add_argument("--model", metavar="REF", help="a name (samzoo list) or a package folder")
    parser.add_argument("--adapter", metavar="NAME", help="of a package with several; the first "
                        "by default")  # fmt: skip
    parser.add_argument("--threads", type=int, help="CPU threads; all cores by default")
    parser.add_argument(
        "--provider", default="cpu", metavar="NAME",
        help="where it runs: cpu (default), cuda, coreml, openvino, directml; samzoo doctor lists "
        "what is there",
    )  # fmt: skip
