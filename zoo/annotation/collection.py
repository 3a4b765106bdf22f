"""The images that are annotated one after the other, and where the last session ended.

In: an image or a folder, and an output folder. Out: the images in order with the places of their
labels, ``OUT/labels/NAME.tif``, where ``samzoo segment`` puts them too. What sessions remember
lies in ``OUT/.samzoo/annotation``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from samzoo.runtime.batch.inputs import find_inputs
from samzoo.runtime.batch.names import printable, result_names
from samzoo.runtime.batch.records import Records
from samzoo.runtime.errors import FormatError, InputError, NotFoundError
from samzoo.runtime.formats.fields import check_format
from samzoo.runtime.formats.files import read_json, write_json
from samzoo.runtime.pixels.kinds import SUFFIXES

from .annotated_image import FORMAT, VERSION, Place

SESSION = "session.json"


class Collection:
    """The images of a session.

    Args:
        named: An image, or a folder of images.
        output: The folder of the labels; by default the folder that holds the images.

    Attributes:
        images: The image files, in order.
        output: The folder of the labels.
        left_out: How many files of the folder are no images.

    Raises:
        NotFoundError: There is no such file or folder.
        InputError: The folder holds no image, or the output is a file.
        FormatError: The record of an earlier session is damaged.
    """

    def __init__(self, named: Path, output: Path | None = None) -> None:
        if not named.exists():
            raise NotFoundError(f"{named}: no such file or folder")
        beside = named if named.is_dir() and named.suffix.lower() != ".zarr" else named.parent
        self.output = beside if output is None else output
        if self.output.exists() and not self.output.is_dir():
            raise InputError(f"{self.output}: is a file, and is needed as a folder")
        found = find_inputs([str(named)], output=self.output)
        self.images, self.left_out = found.images, len(found.left_out)
        if not self.images:
            why = f" ({found.left_out[0].reason})" if found.left_out else ""
            raise InputError(f"{named}: holds no image{why}; looked for {', '.join(SUFFIXES)}")
        self.folder = Records(self.output).place / "annotation"
        self._record = self._read()
        taken = {name: record.path for name, record in Records(self.output).all()}
        taken.update(self._record["images"])
        self._names = result_names(self.images, taken)

    def _read(self) -> dict[str, Any]:
        path = self.folder / SESSION
        if not path.exists():
            return {"images": {}, "current": None, "diameters": {}}
        record = read_json(path)
        check_format(record, FORMAT, VERSION, where=str(path))
        texts = record.get("images"), record.get("diameters")
        if not all(isinstance(each, dict) for each in texts) or not all(
            isinstance(value, str) for value in record["images"].values()
        ):
            raise FormatError(f"{path}: is damaged; delete it to begin at the first image")
        return {name: record.get(name) for name in ("images", "current", "diameters")}

    @property
    def store(self) -> Path:
        """The folder that keeps the embeddings."""
        return self.folder / "embeddings"

    @property
    def shown(self) -> list[str]:
        """How people call each image."""
        return [printable(image.name) for image in self.images]

    @property
    def last(self) -> int:
        """Number of the image at which the last session ended; 0 without one."""
        current = self._record["current"]
        return self._names.index(current) if current in self._names else 0

    def place(self, number: int) -> Place:
        """Return where an image, its labels and its history lie.

        Raises:
            InputError: There is no such image.
        """
        if not 0 <= number < len(self.images):
            raise InputError(f"image {number + 1}: there are images 1 to {len(self.images)}")
        name = self._names[number]
        labels = Records(self.output).labels(name)
        return Place(self.images[number], labels, self.folder / name)

    def diameter(self, number: int, asked: str) -> float | None:
        """Return the diameter that was found for an image when the same was asked for before."""
        known = self._record["diameters"].get(self._names[number])
        if isinstance(known, list) and len(known) == 2 and known[0] == asked:
            return known[1] if isinstance(known[1], float) else None
        return None

    def remember(self, number: int, asked: str = "", diameter: float | None = None) -> None:
        """Write down which image is open, and its diameter if one was found.

        Raises:
            StorageError: The disk is full or the folder cannot be written.
        """
        name = self._names[number]
        self._record["current"] = name
        self._record["images"][name] = os.path.abspath(self.images[number])
        if asked:
            self._record["diameters"][name] = [asked, diameter]
        header = {"format": {"name": FORMAT, "version": VERSION}}
        write_json(self.folder / SESSION, {**header, **self._record})
