"""Verification that a package is complete, safe to open, and computes what it did when exported.

In: a package folder. Out: the proofs and the problems, one line each. Needs neither torch nor the
package onnx. Nothing in a package is executed except its graphs, and these only after all other
checks.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from samzoo.runtime.errors import SamzooError
from samzoo.runtime.formats.fields import parse_json
from samzoo.runtime.formats.manifest import (
    AIS_DECODER,
    CARD_FILE,
    DIGEST,
    ENCODER,
    MANIFEST_FILE,
    MASK_DECODER,
    FileEntry,
    Manifest,
    read_entry,
)
from samzoo.runtime.formats.outputs import is_temporary
from samzoo.runtime.loading import load
from samzoo.runtime.model import Model
from samzoo.zoo.graphs.contracts import check_graph

from .changes import left_pictures
from .encoder_package import find_encoder
from .self_test import TEST_ROLE, TOLERANCES, run_test

GRAPHS = (ENCODER, MASK_DECODER, AIS_DECODER)


@dataclass
class Report:
    """The result of ``verify``.

    Attributes:
        proved: What was proved, in words.
        problems: What is wrong, with file, field, found and allowed values.
        differences: Differences in the package's own test, by output.
    """

    proved: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    differences: dict[str, float] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether there are no problems."""
        return not self.problems


def verify(folder: Path, *, run: bool = True) -> Report:
    """Check a package.

    Args:
        folder: The package.
        run: Also run the package's own test.

    Returns:
        The report. It lists all problems of the package; none of them is raised as an error.

    Raises:
        NotFoundError: There is no package in this folder.
    """
    report = Report()
    if not (folder / MANIFEST_FILE).is_file():
        Manifest.read(folder)  # raises what says so
    manifest = _manifest(folder, report)
    if manifest is None:
        return report
    _check_names(folder, manifest, report)
    _check_files(folder, manifest, report)
    if report.ok:
        _check_graphs(folder, manifest, report)
    if report.ok and run:
        _run(folder, manifest, report)
    return report


def _manifest(folder: Path, report: Report) -> Manifest | None:
    path = folder / MANIFEST_FILE
    if path.is_symlink():
        report.problems.append(f"{path}: is a link; packages hold plain files")
        return None
    try:
        manifest = Manifest.read(folder)
    except SamzooError as error:
        report.problems.append(str(error))
        return None
    data = path.read_bytes()
    if DIGEST not in parse_json(data, where=str(path)):
        report.proved.append("manifest: read; it has no digest, so changes in it cannot be found")
    elif data != (json.dumps(manifest.to_json(), indent=2, allow_nan=False) + "\n").encode():
        report.problems.append(
            f"{path}: its bytes are not those that samzoo writes for this content; fetch it again"
        )
    else:
        report.proved.append("manifest: its digest and every byte")
    return manifest


def _check_names(folder: Path, manifest: Manifest, report: Report) -> None:
    """Check for missing and extra files, links, and names that collide on another system."""
    listed = [entry.path for entry in manifest.files]
    folded: dict[str, str] = {MANIFEST_FILE.casefold(): MANIFEST_FILE}
    for path in listed:
        other = folded.setdefault(path.casefold(), path)
        if other != path or listed.count(path) > 1:
            report.problems.append(
                f"{folder / MANIFEST_FILE}: files: {path} and {other} are one file on some systems"
            )
    found = set()
    for file in sorted(folder.rglob("*")):
        if file.is_symlink():
            report.problems.append(f"{file}: is a link; packages hold plain files")
        elif file.is_file():
            found.add(file.relative_to(folder).as_posix())
            if file.stat().st_nlink > 1:
                report.problems.append(f"{file}: is a hard link; packages hold plain files")
    for name in sorted(name for name in found if is_temporary(folder / name)):
        report.problems.append(
            f"{folder / name}: was left by a samzoo that was stopped; samzoo card {folder} deletes "
            "it, and completes what it had begun"
        )
        found.discard(name)
    left = set(left_pictures(folder, manifest)) & found
    report.problems += [
        f"{folder / name}: was left by a samzoo that was stopped; samzoo card {folder} deletes it"
        for name in sorted(left)
    ]
    found -= left
    report.problems += [
        f"{folder / name}: not listed in {MANIFEST_FILE}; remove it or fetch the package again"
        for name in sorted(found - set(listed) - {MANIFEST_FILE})
    ]
    if report.ok:
        report.proved.append(f"names: {len(listed)} files, none missing, extra or linked")


def _check_files(folder: Path, manifest: Manifest, report: Report) -> None:
    size = 0
    for entry in manifest.files:
        problem = _file_problem(folder, entry)
        if problem:
            report.problems.append(problem)
        size += entry.size
    if report.ok:
        report.proved.append(f"files: size and sha256 of {size / 1e6:.1f} MB")


def _file_problem(folder: Path, entry: FileEntry) -> str:
    """Compare a file with its entry, piece by piece, since it may be larger than the memory."""
    path = folder / entry.path
    if not path.is_file() or path.stat().st_size != entry.size:
        try:
            read_entry(folder, entry)  # says what is wrong
        except SamzooError as error:
            return _about_card(folder) if entry.path == CARD_FILE else str(error)
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"{path}: cannot be read ({error})"
    if found == entry.sha256:
        return ""
    if entry.path == CARD_FILE:
        return _about_card(folder)
    return (
        f"{path}: sha256: found {found[:20]}..., the manifest says {entry.sha256[:20]}...; the "
        "file is damaged or was changed, fetch it again"
    )


def _about_card(folder: Path) -> str:
    """Say what to do about a card that is not the manifest's, which is made of it again."""
    return (
        f"{folder / CARD_FILE}: is not the card that {MANIFEST_FILE} lists: it was changed by "
        f"hand, or a samzoo was stopped. samzoo card {folder} writes it anew. To change its texts: "
        f"samzoo card {folder} --template > card.toml, edit that file, then samzoo card {folder} "
        "--from card.toml"
    )


def _check_graphs(folder: Path, manifest: Manifest, report: Report) -> None:
    checked = 0
    for entry in manifest.files:
        if entry.role not in GRAPHS:
            continue
        owner = next((a for a in manifest.adapters if a.name == entry.adapter), None)
        config = manifest.model if owner is None else owner.model
        problems = check_graph(read_entry(folder, entry), entry, config, folder / entry.path)
        report.problems += problems
        checked += 1
    if report.ok:
        report.proved.append(
            f"graphs: inputs, outputs, types and ranks of {checked}; opset, default domain, no "
            "outside data, the model's digest"
        )


def _run(folder: Path, manifest: Manifest, report: Report) -> None:
    base = find_encoder(folder)
    if base is None and manifest.encoder_from is not None:
        name = manifest.encoder_from.name
        report.proved.append(f"answers: not run, the encoder's package {name!r} is not here")
        return
    tests = [entry for entry in manifest.files if entry.role == TEST_ROLE]
    if not tests:
        report.proved.append("answers: the package has no test of its own")
        return
    try:
        model = load(folder, base=base)
        for entry in tests:
            if entry.adapter:
                model.use(entry.adapter)
            _compare(folder / entry.path, entry.adapter, model, manifest.precision, report)
    except SamzooError as error:
        report.problems.append(str(error))
        return
    if report.ok:
        worst = max(report.differences.values(), default=0.0)
        report.proved.append(
            f"answers: {len(report.differences)} outputs of its own test, at most {worst:.1g} apart"
        )


def _compare(path: Path, adapter: str, model: Model, precision: str, report: Report) -> None:
    tolerance = TOLERANCES.get(precision, max(TOLERANCES.values()))
    for name, difference in run_test(path, model).items():
        report.differences[f"{adapter}: {name}" if adapter else name] = difference
        if not difference <= tolerance:
            report.problems.append(
                f"{path}: {name}: differs by {difference:.2g} of its largest value, allowed are "
                f"{tolerance:g} ({precision})"
            )
