"""The check of an installation: what is installed, what is missing, and the command that helps.

In: nothing. Out: a report for the ``doctor`` verb. Optional packages are looked up but not
imported, so the check is quick and works even if one of them is broken. Nor does this module import
required ones before it has checked them.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from samzoo.runtime.dependencies import install_advice, install_command
from samzoo.runtime.engine.providers import PROVIDERS, available_providers
from samzoo.runtime.errors import SamzooError

from .requirements import CORE, GROUPS, core_faults, is_there, version_of

DEFAULT_MODEL = "nuclei-vit-t"
"""As in ``samzoo.zoo.hub.default_choice``, which needs more packages; a test compares."""

FIRST_BROKEN_PYDANTIC = (2, 14)
"""First pydantic with which building and loading packages fails (bioimageio.spec 0.5.12)."""

MIN_FREE_BYTES = 2**30
"""Free space advised in the temporary folder, since an export writes each graph there (own
choice)."""

FIELD = 96
"""Side in pixels of the synthetic image."""


def check_installation() -> dict[str, Any]:
    """Check the installation and run the default model once.

    Returns:
        ``ok`` (segmenting works), ``problems`` (each with its remedy), ``versions``, ``cpus``,
        ``providers`` (what onnxruntime was built with), ``packages`` (version or None, by group),
        ``default_model`` (``name``, ``folder`` and the ``seconds`` that loading with embedding and
        segmenting took, or ``error``), ``free_bytes`` of the temporary folder, and ``text``, a
        table for people.
    """
    packages = {group: _versions(names) for group, names in GROUPS.items()}
    problems = core_faults()
    model = _untried() if problems else _try_default_model()
    folder, free = _free_space()
    if "error" in model and not problems:
        problems.append(f"the default model does not run ({model['error']}); {install_advice()}")
    if packages["bioimageio"]["bioimageio.core"] is not None:
        problems += _bioimageio_problems(packages["bioimageio"]["pydantic"])
    report: dict[str, Any] = {
        "ok": not problems,
        "problems": problems,
        "versions": {
            "samzoo": version_of("samzoo"),
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
        "cpus": os.cpu_count(),
        "providers": [] if "onnxruntime" in " ".join(problems) else _providers(),
        "packages": packages,
        "default_model": model,
        "temporary_folder": folder,
        "free_bytes": free,
    }
    return {"text": _table(report), **report}


def _versions(names: dict[str, str]) -> dict[str, str | None]:
    return {name: version_of(name) if is_there(module) else None for name, module in names.items()}


def _providers() -> list[str]:
    try:
        return [*available_providers()]
    except ImportError:  # the problems tell of a missing or broken onnxruntime
        return []


def _untried() -> dict[str, Any]:
    return {"name": DEFAULT_MODEL, "error": "not tried, because of the problems below"}


def _bioimageio_problems(pydantic: str | None) -> list[str]:
    """Report a pydantic that breaks the version of the spec that bioimageio.core 0.11 requires."""
    numbers = [int(part) for part in (pydantic or "0").split(".")[:2] if part.isdigit()]
    if numbers < list(FIRST_BROKEN_PYDANTIC):
        return []
    return [
        f"bioimageio.core does not work with pydantic {pydantic}; run: pip install 'pydantic<2.14'"
    ]


def _try_default_model() -> dict[str, Any]:
    from samzoo.zoo.hub.names import load, resolve

    found: dict[str, Any] = {"name": DEFAULT_MODEL}
    try:
        found["folder"] = str(resolve(DEFAULT_MODEL))
        start = time.perf_counter()
        model = load(DEFAULT_MODEL)
        embeddings = model.embed(_synthetic_image())
        embedded = time.perf_counter()
        model.segment(embeddings)
        segmented = time.perf_counter()
    except (SamzooError, OSError, ImportError) as error:
        return {**found, "error": str(error)}
    seconds = {"load_and_embed": embedded - start, "segment": segmented - embedded}
    return {**found, "seconds": {name: round(value, 3) for name, value in seconds.items()}}


def _synthetic_image() -> Any:
    """Return bright discs on a dark background, ``(FIELD, FIELD)`` uint8."""
    import numpy as np

    rows, columns = np.mgrid[:FIELD, :FIELD]
    image = np.full((FIELD, FIELD), 20, np.uint8)
    for row, column in ((24, 24), (24, 70), (66, 48)):
        image[(rows - row) ** 2 + (columns - column) ** 2 < 100] = 200
    return image


def _free_space() -> tuple[str | None, int | None]:
    try:
        folder = tempfile.gettempdir()
        return folder, shutil.disk_usage(folder).free
    except OSError:  # also raised if there is no temporary folder at all
        return None, None


def _table(report: dict[str, Any]) -> str:
    rows: list[Sequence[str]] = [
        ("samzoo", report["versions"]["samzoo"] or "not installed (run from a folder)"),
        ("python", report["versions"]["python"]),
        ("platform", report["versions"]["platform"]),
        ("CPUs", str(report["cpus"])),
        ("providers", _provider_row(report["providers"])),
        ("temporary folder", _space(report)),
    ]
    for group, versions in report["packages"].items():
        rows.append(("", ""))
        mend = install_command("" if group == CORE else group)
        for name, version in versions.items():
            rows.append((f"{group}: {name}", version or f"missing; run: {mend}"))
    model = report["default_model"]
    rows.append(("", ""))
    if "error" in model:
        rows.append((f"model {model['name']}", model["error"]))
    else:
        seconds = model["seconds"]
        rows.append((
            f"model {model['name']}",
            f"works: loaded and embedded in {seconds['load_and_embed']:.2f} s, "
            f"segmented in {seconds['segment']:.2f} s",
        ))  # fmt: skip
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:{width}}  {value}".rstrip() for name, value in rows]
    if report["problems"]:
        verdict = [f"problem: {problem}" for problem in report["problems"]]
    else:
        verdict = ["Segmenting works. Groups with missing packages are optional."]
    return "\n".join([*lines, "", *verdict])


def _provider_row(there: Sequence[str]) -> str:
    if not there:
        return "none"
    others = [
        f"{name} with {row.package} ({row.system})"
        for name, row in PROVIDERS.items()
        if name not in there
    ]
    return f"{', '.join(there) or 'none'}; not here: {', '.join(others) or 'none'}"


def _space(report: dict[str, Any]) -> str:
    if report["free_bytes"] is None:
        return "none can be written; set TMPDIR to a folder that can"
    free = f"{report['temporary_folder']}, {report['free_bytes'] / 2**30:.1f} GiB free"
    if report["free_bytes"] < MIN_FREE_BYTES:
        free += f"; little: delete files or set TMPDIR (advised: {MIN_FREE_BYTES / 2**30:.0f} GiB)"
    return free
