"""Images that are read window by window.

In: an array, or a file of any size. Out: checked windows of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from samzoo.runtime.errors import ImageError
from samzoo.runtime.formats.arrays import Array
from samzoo.runtime.images.empty_channels import with_notes
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.images.reading import check_image
from samzoo.runtime.pixels.decoders import check_budget
from samzoo.runtime.pixels.reader import Reader, Window

SAMPLE = 2048
"""Side in pixels of the largest image that is looked at as a whole; of a larger one 64 windows are,
with as many pixels together (own choice)."""

STRIP = 1024
"""Side in pixels of the windows in which a whole image is read (own choice)."""


class ImageSource:
    """One plane of an image, read in windows, which are checked as in ``check_image``.

    Args:
        reader: Reads windows.
        where: Names the image in messages.
    """

    def __init__(self, reader: Reader, where: str) -> None:
        self._reader, self.where = reader, where
        self.notes = [f"{where}: {note}" for note in reader.notes]
        probe = self._checked(np.zeros((1, 1, *reader.shape[2:]), reader.dtype))
        self.size: Size = (reader.shape[0], reader.shape[1])
        self.channels = 1 if probe.ndim == 2 else probe.shape[2]
        self.dtype: np.dtype[np.generic] = probe.dtype
        if 0 in self.size:
            raise ImageError(f"{where}: the image has no pixels (shape {reader.shape})")

    def read(self, window: Window) -> Array:
        """Read a window.

        Args:
            window: A window inside the image.

        Returns:
            ``(height, width)`` or ``(height, width, 3)`` of ``dtype``, all values finite.

        Raises:
            ImageError: The file is damaged there, or values are NaN or infinite.
        """
        found = self._checked(self._reader(window))
        expected = (window[2] - window[0], window[3] - window[1])
        if found.shape[:2] != expected:
            raise ImageError(
                f"{self.where}: window {window}: found {found.shape[:2]} pixels, expected "
                f"{expected}; the file is damaged, or changed while it was read: copy it again"
            )
        return found

    def whole(self) -> Array:
        """Read the whole image at once.

        Returns:
            As ``read``; a picture of which only one channel holds anything is grey, and ``notes``
            says so.

        Raises:
            ImageError: As ``read``, or the image has too many pixels.
        """
        check_budget(self.where, *self.size)
        image = self.read((0, 0, *self.size))
        image, notes = with_notes(image)
        self.notes += [f"{self.where}: {note}" for note in notes]
        return image

    def sample(self) -> tuple[Array, bool]:
        """Read the whole of a small image, or windows of a large one, to see what kind it is.

        Returns:
            Pixels as ``read`` gives them, and whether they are the whole image.
        """
        height, width = self.size
        if height * width <= SAMPLE**2:
            return self.read((0, 0, height, width)), True
        side_y, side_x = min(height, SAMPLE // 8), min(width, SAMPLE // 8)
        found = [
            self.read((int(y), int(x), int(y) + side_y, int(x) + side_x))
            for y in np.linspace(0, height - side_y, 8)
            for x in np.linspace(0, width - side_x, 8)
        ]
        return np.concatenate(found), False

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def windows(self) -> Iterator[tuple[int, int, Array]]:
        """Read the whole image once, in windows of at most ``STRIP`` rows and columns.

        Returns:
            First row, first column and pixels of each window.
        """
        height, width = self.size
        for y in range(0, height, STRIP):
            for x in range(0, width, STRIP):
                yield y, x, self.read((y, x, min(y + STRIP, height), min(x + STRIP, width)))

    def _checked(self, window: Array) -> Array:
        return check_image(window, where=self.where)
