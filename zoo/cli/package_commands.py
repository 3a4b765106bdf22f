"""The verbs that look at a package or the installation: ``verify``, ``card``, ``show``, ``doctor``.

Each takes parsed options, calls public functions, and returns a dict as ``commands.py`` says.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from samzoo.runtime.errors import FormatError, InputError
from samzoo.runtime.formats.manifest import Manifest
from samzoo.zoo.hub.names import resolve

Result = dict[str, Any]


def verify(options: Namespace) -> Result:
    """Check a package."""
    from samzoo.zoo.packages.verification import verify as verify_package

    folder = resolve(options.model)
    report = verify_package(folder)
    if not report.ok:
        count = len(report.problems)
        raise FormatError(
            "\n  ".join([f"{folder}: {count} problem{'s' if count > 1 else ''}", *report.problems])
        )
    return {
        "text": "\n".join(f"ok  {line}" for line in report.proved),
        "folder": str(folder),
        "proved": report.proved,
        "differences": report.differences,
    }


def card(options: Namespace) -> Result:
    """Render a package's card again."""
    from samzoo.zoo.packages.card import card_problems
    from samzoo.zoo.packages.changes import CARD_FILE, update_package

    folder = Path(options.package)
    manifest = update_package(folder, Manifest.read(folder))
    path = str(folder / CARD_FILE)
    problems = card_problems(manifest)
    notes = [f"before it is published: {problem}" for problem in problems]
    return {"text": path, "card": path, "missing": problems, "notes": notes}


def show(options: Namespace) -> Result:
    """Print a model's card."""
    from samzoo.runtime.formats.config import to_json

    folder = resolve(options.model)
    manifest = Manifest.read(folder)
    card = folder / "README.md"
    text = f"{manifest.name}: no card"
    if card.is_file():
        text = card.read_text(encoding="utf-8", errors="replace")
    # A card comes from a stranger: no control sequences for the terminal.
    text = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
    return {"text": text, "folder": str(folder), "manifest": to_json(manifest)}


def doctor(options: Namespace) -> Result:
    """Check the installation."""
    from samzoo.zoo.reports.installation import check_installation

    result = check_installation()
    if not result["ok"]:
        raise InputError(f"the installation has problems\n{result['text']}")
    return result
