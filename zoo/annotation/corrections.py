"""One correction of a label file from the command line: objects added, replaced or deleted.

In: a label file, what is wanted, masks. Out: the labels afterwards, with the objects' numbers. The
caller holds ``locked_labels`` meanwhile, so that no open session loses a change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Labels2D
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.images.label_tags import PixelSizes
from samzoo.runtime.images.reading import write_labels
from samzoo.runtime.prompts.cutouts import MaskPart

from .edits import add, check_ids, delete, replace
from .label_file import read_editable

FACTS: dict[str, Any] = {"annotated": True}
"""What the record of a corrected label file says."""


@dataclass(frozen=True)
class Correction:
    """What is changed in a label file.

    Attributes:
        labels: The file.
        image: The image that it belongs to, for messages.
        replaced: The object that gets another mask.
        deleted: Objects that are deleted. Without these and ``replaced``, masks are new objects.
    """

    labels: Path
    image: Path
    replaced: int | None = None
    deleted: tuple[int, ...] = ()

    def read(self, size: Size, *, masks: int) -> Labels2D:
        """Read the labels and check that the correction fits them, before any work.

        Args:
            size: (height, width) of the image.
            masks: Number of masks that there will be.

        Raises:
            InputError: There is no such object, or not one mask for the one that is replaced.
            SamzooError: As for ``read_editable``.
        """
        labels = read_editable(self.labels, size, image=self.image)
        named = [*self.deleted, *([] if self.replaced is None else [self.replaced])]
        if named:
            check_ids(labels, named)
        if self.replaced is not None and masks != 1:
            raise InputError(
                f"--replace {self.replaced}: needs one object's prompts, found {masks} objects; "
                "prompt one object, or pass --add"
            )
        return labels

    def changed(self, labels: Labels2D, parts: Sequence[MaskPart]) -> tuple[Labels2D, list[int]]:
        """Return the labels afterwards, and the number that each mask has in them.

        Args:
            labels: From ``read``.
            parts: The masks, cut out; other objects keep their pixels.

        Raises:
            InputError: A mask is empty, or lies wholly in other objects.
        """
        if self.deleted:
            return delete(labels, self.deleted), []
        if self.replaced is not None:
            return replace(labels, self.replaced, parts[0]), [self.replaced]
        numbers = []
        for part in parts:
            labels, number = add(labels, part)
            numbers.append(number)
        return labels, numbers


def write_corrected(output: Path, labels: Labels2D, *, sizes: PixelSizes) -> None:
    """Write corrected labels, whole or not at all.

    Args:
        output: The label file.
        labels: The labels.
        sizes: The size of a pixel along each axis, as the image's file says it.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    write_labels(output, labels, facts=FACTS, sizes=sizes)
