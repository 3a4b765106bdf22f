"""What a TIFF's tags say of its samples, applied to them.

In: a page's tags, and windows of its samples. Out: grey or RGB windows.

Sources: TIFF 6.0, sections 3 to 8, 16 and 18 (photometric interpretation, palettes, extra samples,
CMYK); GDAL's tag 42113. ImageJ writes a look-up table as a palette: its values are intensities.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import tifffile

from samzoo.runtime.errors import ImageError
from samzoo.runtime.formats.arrays import Array
from samzoo.runtime.pixels.transparency import AlphaCheck

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, _MASK, CMYK, YCBCR = range(7)

COLOUR_SAMPLES = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3}
"""Samples that make one pixel, by photometric interpretation; more are extra samples."""

ALPHA = (1, 2)
"""Kinds of extra samples that are alpha: premultiplied or not. 0 says nothing."""

NO_DATA_TAG = 42113

_OTHERS = {
    4: "a transparency mask", 8: "colours in CIE L*a*b*", 9: "colours in ICC L*a*b*",
    10: "colours in ITU L*a*b*", 32803: "raw values of a camera's colour filter",
    32844: "colours in LogL", 32845: "colours in LogLuv", 34892: "raw values of a camera",
}  # fmt: skip

_APERIO_YCBCR = 33003
"""A compression whose decoders leave colours in YCbCr."""


@dataclass
class Meaning:
    """The meaning of the samples of one page.

    Attributes:
        page: The page; its tags are read.
        where: Names the file in messages.
        is_imagej: ImageJ wrote the file.
        as_labels: The file holds labels: numbers stay as they are stored. (tifffile writes boolean
            masks as "white is zero", and ImageJ those with an inverted look-up table, so the tag
            does not tell objects from background.)
        notes: Sentences for the user.

    Raises:
        ImageError: The page's samples mean something that samzoo does not read.
    """

    page: tifffile.TiffPage
    where: str
    is_imagej: bool = False
    as_labels: bool = False
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        page = self.page
        self.photometric = int(page.photometric)
        if self.photometric not in COLOUR_SAMPLES or page.compression == _APERIO_YCBCR:
            what = _OTHERS.get(self.photometric, f"photometric interpretation {self.photometric}")
            if page.compression == _APERIO_YCBCR:
                what = "colours in YCbCr inside JPEG 2000"
            raise ImageError(
                f"{self.where}: holds {what}, which samzoo does not read; save it as RGB or grey"
            )
        bits = page.bitspersample
        self.bits = int(bits if isinstance(bits, int) else max(bits))
        self.kind = np.dtype(page.dtype).kind  # as numpy: b, u, i, f, c
        self._check_samples()
        self._palette = self._palette_of_page()
        self._alpha_check = AlphaCheck(self.where)
        if self.inverted:
            if self.kind not in "bu":
                raise ImageError(
                    f"{self.where}: says that white is zero, but its values of {page.dtype} have "
                    "no black; save it with black as zero"
                )
            if self.bits > 1:
                self.notes.append("the file says that its white is zero; its values were inverted")
        if self.photometric == CMYK:
            self.notes.append(
                "the picture has printing colours (CMYK); they were converted to RGB without a "
                "colour profile"
            )
        stated = page.tags.get(NO_DATA_TAG)
        self._no_data = None if stated is None else _number(stated.value)

    def _check_samples(self) -> None:
        page = self.page
        self.samples = COLOUR_SAMPLES[self.photometric]
        extra = [int(kind) for kind in page.extrasamples]
        self.alpha = next((self.samples + i for i, k in enumerate(extra) if k in ALPHA), None)
        if page.samplesperpixel < self.samples:
            raise ImageError(
                f"{self.where}: has {page.samplesperpixel} samples a pixel, its colours need "
                f"{self.samples}; save it again as RGB or grey"
            )
        unknown = page.samplesperpixel - self.samples - (self.alpha is not None)
        if unknown and not self.has_channels:
            self.notes.append(
                f"each pixel has {unknown} more samples than the colours, which the file does not "
                "explain; they were not read"
            )

    @property
    def has_channels(self) -> bool:
        """Whether the samples of a grey pixel are channels, to choose from."""
        page = self.page
        grey = self.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO)
        return grey and page.samplesperpixel - (self.alpha is not None) > 1

    @property
    def inverted(self) -> bool:
        """Whether values are inverted."""
        return self.photometric == WHITE_IS_ZERO and (not self.as_labels)

    @property
    def is_colour(self) -> bool:
        """Whether windows come out as RGB."""
        return self.photometric in (RGB, CMYK, YCBCR) or self._palette is not None

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the values that come out."""
        return np.dtype(np.uint8 if self._palette is not None else self.page.dtype).newbyteorder(
            "="
        )

    def _palette_of_page(self) -> Array | None:
        """Return ``(n, 3)`` uint8 colours, or None where indices are read."""
        table = self.page.colormap
        if self.photometric != PALETTE or table is None or self.as_labels:
            return None
        # 16 bits by the specification; some writers left the upper eight empty.
        colours = (table >> 8 if table.max() > 255 else table).T.astype(np.uint8)
        if self.is_imagej and _is_ramp(colours):
            self.notes.append(
                "the file's colours are a look-up table of ImageJ, for display; its values were "
                "read as grey"
            )
            return None
        return colours

    def apply(self, window: Array) -> Array:
        """Turn samples into grey values or colours.

        Args:
            window: ``(height, width)`` or ``(height, width, samples)`` as stored.

        Returns:
            ``(height, width)`` or ``(height, width, 3)``.

        Raises:
            ImageError: Part of the picture is transparent, or values mean that there are no data.
        """
        window = window.astype(window.dtype.newbyteorder("="), copy=False)
        if window.ndim == 3:
            if self.alpha is not None and self.alpha < window.shape[2]:
                self._alpha_check(window[..., self.alpha])
            window = window[..., 0] if self.samples == 1 else window[..., : self.samples]
        if self._no_data is not None and not self.as_labels:
            missing = int((window == self._no_data).sum())
            if missing:
                raise ImageError(
                    f"{self.where}: {missing} values are {self._no_data:g}, which the file says "
                    "means no data; replace them"
                )
        if self._palette is not None:
            colours: Array = self._palette[window]
            return colours
        if self.inverted:
            top = window.dtype.type(1 if self.kind == "b" else 2**self.bits - 1)
            window = ~window if self.kind == "b" else top - window
        if self.photometric == CMYK:
            return _to_rgb(window, self.bits)
        if window.dtype == np.uint8 and 1 < self.bits < 8 and not self.as_labels:
            spread: Array = (window * (255 / (2**self.bits - 1)) + 0.5).astype(np.uint8)
            return spread
        return window


def _to_rgb(window: Array, bits: int) -> Array:
    """Convert CMYK to RGB as Pillow does: each ink takes its share of the light."""
    top = 2**bits - 1
    light = (top - window.astype(np.float64)) / top
    rgb: Array = (light[..., :3] * light[..., 3:] * top + 0.5).astype(window.dtype)
    return rgb


def _is_ramp(colours: Array) -> bool:
    """Tell whether a table grows brighter throughout, as those for display do."""
    brightness = colours @ np.array([0.299, 0.587, 0.114])
    return bool((np.diff(brightness) > -5).all() and brightness[-1] > brightness[0])


def _number(stated: object) -> float | None:
    try:
        return float(str(stated).strip("\0 "))
    except ValueError:
        return None
