"""The outputs of the verbs that make labels, checked before any work is done.

Called by ``commands.py`` and ``segment_command.py``.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.outputs import check_output
from samzoo.runtime.images.reading import LABEL_SUFFIXES


def label_output(image: Path, options: Namespace) -> Path:
    """Return ``--output`` if labels can be written there.

    Raises:
        InputError: It has another suffix, or exists.
    """
    output = Path(options.output)
    if output.suffix.lower() not in LABEL_SUFFIXES:
        raise InputError(f"{output}: labels are written as {', '.join(LABEL_SUFFIXES)}")
    check_output(output, force=options.force, inputs=[image])
    return output


def check_overlay(options: Namespace, outputs: Sequence[tuple[Path, Path]]) -> Path | None:
    """Return ``--overlay`` if it can be written; None where it was not asked for.

    Raises:
        InputError: It is no PNG, exists, or there are several images.
    """
    return _beside(options, "overlay", ".png", outputs)


def check_table(options: Namespace, outputs: Sequence[tuple[Path, Path]]) -> Path | None:
    """Return ``--table`` if it can be written; None where it was not asked for.

    Raises:
        InputError: It is no CSV file, exists, or there are several images.
    """
    return _beside(options, "table", ".csv", outputs)


def _beside(
    options: Namespace, name: str, suffix: str, outputs: Sequence[tuple[Path, Path]]
) -> Path | None:
    given = getattr(options, name)
    if not given:
        return None
    if len(outputs) > 1:
        raise InputError(f"--{name} takes one image; run it for each")
    path = Path(given)
    if path.suffix.lower() != suffix:
        raise InputError(f"{path}: {name}s are written as {suffix}; name it so")
    image, output = outputs[0]
    check_output(path, force=options.force, inputs=[image])
    if path.resolve() == output.resolve():
        raise InputError(f"{path}: is the output for the labels as well; choose another name")
    return path
