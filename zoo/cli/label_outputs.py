"""The outputs of the verbs that make labels, checked before any work is done."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from samzoo.runtime.errors import InputError
from samzoo.runtime.images.output_checks import check_labels_output, check_overlay_output


def label_output(image: Path, options: Namespace) -> Path:
    """Return ``--output`` if labels can be written there.

    Raises:
        InputError: It has another suffix, or exists.
    """
    output = Path(options.output)
    check_labels_output(output, image, force=options.force)
    return output


def check_overlay(options: Namespace, outputs: Sequence[tuple[Path, Path]]) -> Path | None:
    """Return ``--overlay`` if it can be written; None where it was not asked for.

    Raises:
        InputError: It is no PNG, exists, or there are several images.
    """
    overlay = of_one_image(options, "overlay", outputs)
    if overlay is not None:
        check_overlay_output(overlay, *outputs[0], force=options.force)
    return overlay


def of_one_image(
    options: Namespace, name: str, outputs: Sequence[tuple[Path, Path]]
) -> Path | None:
    """Return the path of an option that takes one image; None where it was not given.

    Raises:
        InputError: There are several images.
    """
    given = getattr(options, name)
    if not given:
        return None
    if len(outputs) > 1:
        raise InputError(f"--{name} takes one image; run it for each")
    return Path(given)
