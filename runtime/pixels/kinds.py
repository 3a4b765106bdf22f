"""The kind of an image file, told by its first bytes.

In: a path. Out: one of ``KINDS``, or an error that says what the file is and how to convert it.
"""

from __future__ import annotations

from pathlib import Path

from samzoo.runtime.errors import ImageError, shown

from .decoders import first_bytes
from .foreign import advice_on

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
"""Suffixes of the files that count as images in a folder; lower case."""

KINDS: dict[str, tuple[str, ...]] = {
    "TIFF": (".tif", ".tiff"),
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WebP": (".webp",),
}
"""The kinds that are read, with their usual suffixes."""

_MAGIC = (
    (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"), (b"II+\0", "TIFF"), (b"MM\0+", "TIFF"),
    (b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"BM", "BMP"),
    (b"GIF87a", "GIF"), (b"GIF89a", "GIF"),
)  # fmt: skip


def kind_of(path: Path) -> str:
    """Tell the kind of an image file; its content decides, not its name.

    Args:
        path: A file.

    Returns:
        One of ``KINDS``.

    Raises:
        NotFoundError: There is no such file.
        ImageError: It is a folder, empty, or of a kind that samzoo does not read. The message says
            which kind it is, where that is known, and how to convert it.
        StorageError: It cannot be read.
    """
    start = first_bytes(path)
    found = _recognized(start)
    advice = advice_on(path, start, readable=found is not None)
    if advice is not None:
        raise ImageError(f"{path}: {advice}")
    if found is not None:
        return found
    raise ImageError(
        f"{path}: not a TIFF, PNG, JPEG, BMP, GIF or WebP file (it starts with "
        f"{shown(start[:8])}); export the image again in one of these formats"
    )


def _recognized(start: bytes) -> str | None:
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP"
    return next((kind for magic, kind in _MAGIC if start.startswith(magic)), None)


def is_tiff(path: Path) -> bool:
    """Tell by its first bytes whether a file is a TIFF.

    Raises:
        SamzooError: As ``kind_of``.
    """
    return kind_of(path) == "TIFF"


def misnamed(path: Path, kind: str) -> list[str]:
    """Return a note if a file's suffix promises another kind than its content is."""
    suffix = path.suffix.lower()
    if suffix in SUFFIXES and suffix not in KINDS[kind]:
        return [f"the file is named {path.suffix}, but it holds a {kind}; it was read as {kind}"]
    return []
