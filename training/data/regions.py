"""Annotated images that are too large to be read as a whole: read region by region.

In: an image and a label file of which a reader reads windows (TIFF, OME-Zarr). Out: their regions.
Each is an annotated image; an object on the border of two regions is a piece in each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.errors import ImageError
from samzoo.runtime.formats.arrays import Array, Labels2D
from samzoo.runtime.formats.config import Preprocessing
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.images.intensity import Stretch
from samzoo.runtime.images.label_arrays import object_areas
from samzoo.runtime.images.opening import open_reader
from samzoo.runtime.labels.annotation import LabelMeaning, check_sizes, read_labels_of
from samzoo.runtime.labels.lists import Entry
from samzoo.runtime.labels.plausibility import doubts
from samzoo.runtime.labels.survey import Survey
from samzoo.runtime.pixels.kinds import kind_of
from samzoo.runtime.pixels.reader import Window
from samzoo.runtime.pixels.source_spec import SourceSpec, identity
from samzoo.runtime.pixels.zarr_source import is_zarr
from samzoo.runtime.windows.limits import image_limits
from samzoo.runtime.windows.opening import open_full_channels, open_source

from .annotated import AnnotatedImage, pair_digest, refuse_changes

LARGE = 2**24
"""Pixels above which an image is read in regions (own choice: with its targets such an image takes
0.5 GB at scale 1)."""

SIDE = 2048
"""Largest side of a region in pixels (own choice: two model inputs at scale 1, and 0.1 GB)."""


LOOKED_AT = 16
"""Regions of an image that are looked at for its background and colours (own choice)."""


@dataclass(frozen=True)
class LargePair:
    """A large image with its labels.

    Attributes:
        entry: The files.
        meaning: What the numbers in the label file mean.
        spec: The plane of the image to read.
        size: Height and width.
        stamps: What ``identity`` said of both files when they were opened.
    """

    entry: Entry
    meaning: LabelMeaning
    spec: SourceSpec
    size: Size
    stamps: tuple[str, str]
    _limits: dict[str, Stretch] = field(default_factory=dict, repr=False)

    def image(self, window: Window) -> Array:
        """Read a window of the image."""
        refuse_changes(self.entry.image, self.stamps[0])
        with closing(open_source(self.spec)) as source:
            return source.read(window)

    def labels(self, window: Window) -> Labels2D:
        """Read a window of the labels."""
        refuse_changes(self.entry.labels, self.stamps[1])
        return read_labels_of(self.entry.labels, self.meaning, window=window)

    def limits(self, preprocessing: Preprocessing) -> Stretch:
        """Return the values of the whole image that become 0 and 255, found once."""
        key = repr((preprocessing.intensity, preprocessing.percentiles))
        if key not in self._limits:
            with closing(open_source(self.spec)) as source:
                if preprocessing.intensity == "none" and source.dtype == np.uint8:
                    return Stretch(0.0, 255.0)  # such an image stays as it is
                found = image_limits(source, preprocessing)
            self._limits[key] = found.stretch
        return self._limits[key]


@dataclass(frozen=True)
class AnnotatedRegion:
    """A region of a large annotated image; see ``AnnotatedImage``.

    Attributes:
        pair: The image and its labels.
        window: The region.
        areas: Pixels of each object in it.
        digest: Digest of its pixels and labels.
    """

    pair: LargePair
    window: Window
    areas: NDArray[np.int64]
    digest: str

    content = ""
    """Large images are not compared by content, which would take hours."""

    identity = ""

    @property
    def name(self) -> str:
        """The image's name, and where in it the region lies."""
        y0, x0, y1, x1 = self.window
        return f"{self.pair.entry.name} (rows {y0} to {y1}, columns {x0} to {x1})"

    @property
    def group(self) -> str:
        """As of the image."""
        return self.pair.entry.group

    @property
    def weight(self) -> float:
        """As of the image."""
        return self.pair.entry.weight

    @property
    def size(self) -> Size:
        """Height and width."""
        y0, x0, y1, x1 = self.window
        return y1 - y0, x1 - x0

    @property
    def image(self) -> Array:
        """The pixels of the region."""
        return self.pair.image(self.window)

    @property
    def labels(self) -> Labels2D:
        """The labels of the region; an object has the same number in all regions, or not."""
        return self.pair.labels(self.window)

    def limits(self, preprocessing: Preprocessing) -> Stretch:
        """Return the values of the whole image that become 0 and 255."""
        return self.pair.limits(preprocessing)


def open_large(entry: Entry, meaning: LabelMeaning, choice: Mapping[str, Any]) -> LargePair | None:
    """Open an image and its labels if they are large and can be read in regions.

    Args:
        entry: The files.
        meaning: What the numbers in the label file mean.
        choice: Level, series, channel and plane of the image, as ``read_image`` takes them.

    Returns:
        The pair; None if it has at most ``LARGE`` pixels, or one of the files has no windows.

    Raises:
        SamzooError: A file cannot be opened, or their sizes differ.
    """
    if not (_in_windows(entry.image) and _in_windows(entry.labels)):
        return None
    spec = SourceSpec(
        str(entry.image), choice.get("level") or 0, choice.get("series"), choice.get("channel"),
        choice.get("plane"),
    )  # fmt: skip
    with closing(open_reader(spec)) as reader:
        size = reader.shape[0], reader.shape[1]
    if math.prod(size) <= LARGE:
        return None
    with closing(open_reader(SourceSpec(str(entry.labels)), as_labels=True)) as reader:
        check_sizes(
            np.broadcast_to(np.uint8(0), size), np.broadcast_to(np.int32(0), reader.shape[:2]),
            image_where=f"the image {entry.image}", label_where=str(entry.labels),
        )  # fmt: skip
    spec, source = open_full_channels(spec)
    source.close()
    stamps = identity(entry.image), identity(entry.labels)
    return LargePair(entry, meaning, spec, size, stamps)


def regions_of(pair: LargePair, survey: Survey) -> list[AnnotatedRegion]:
    """Read a large image once, region by region.

    Args:
        pair: The image with its labels.
        survey: Gets what was found in each region, and that the image is read so.

    Returns:
        The regions in which something is annotated.

    Raises:
        ImageError: The image is damaged, nothing is annotated, or most regions have labels that
            surely mean something else.
    """
    found = []
    errors: list[ImageError] = []
    filled = 0
    for window in _windows(pair.size):
        labels = pair.labels(window)
        if (labels < 0).all():
            continue
        image = pair.image(window)
        region = AnnotatedRegion(pair, window, object_areas(labels), pair_digest(image, labels))
        found.append(region)
        survey.counts.add(labels)
        if len(region.areas):
            filled += 1
            try:
                survey.odd += doubts(labels, image, where=f"{pair.entry.labels}: {region.name}")
            except ImageError as error:  # an object may fill a region
                errors.append(error)
    if len(errors) > filled / 2:
        raise errors[0]
    if not found:
        raise ImageError(f"{pair.entry.labels}: no pixel is annotated; leave this pair out")
    note = (
        f"read in regions of at most {SIDE} x {SIDE} pixels, as it has more than {LARGE}; it is "
        "not compared with other images by its pixels"
    )
    survey.notes.setdefault(note, []).append(pair.entry.name)
    return found


def fewer_regions(annotated: Sequence[AnnotatedImage]) -> list[AnnotatedImage]:
    """Leave out most regions of large images, to look at all kinds of images in little time."""
    regions: dict[str, list[AnnotatedImage]] = {}
    others: list[AnnotatedImage] = []
    for a in annotated:
        if isinstance(a, AnnotatedRegion):
            regions.setdefault(a.pair.entry.name, []).append(a)
        else:
            others.append(a)
    few = [a for own in regions.values() for a in own[:: math.ceil(len(own) / LOOKED_AT)]]
    return [*others, *few]


def _in_windows(path: Path) -> bool:
    if path.is_dir():
        return is_zarr(path)
    return path.suffix.lower() != ".npy" and path.exists() and kind_of(path) == "TIFF"


def _windows(size: Size) -> Iterator[Window]:
    rows, columns = (
        np.linspace(0, side, math.ceil(side / SIDE) + 1).astype(int).tolist() for side in size
    )
    for y0, y1 in pairwise(rows):
        for x0, x1 in pairwise(columns):
            yield y0, x0, y1, x1
