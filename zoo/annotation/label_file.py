"""The label file that is corrected: read without changing a number, locked, written whole.

In: a path, and the image's size. Out: labels whose ids are those of the file, or one sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from samzoo.runtime.errors import ImageError, InputError, StorageError
from samzoo.runtime.formats.arrays import Labels2D
from samzoo.runtime.formats.outputs import make_folder
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.images.label_arrays import IGNORED, MOST_KEPT
from samzoo.runtime.images.opening import read_plane
from samzoo.runtime.images.reading import LABEL_SUFFIXES
from samzoo.runtime.labels.files import read_labels
from samzoo.runtime.pixels.source_spec import SourceSpec


def read_editable(path: Path, size: Size, *, image: Path) -> Labels2D:
    """Read labels that are to be corrected.

    Args:
        path: A TIFF or PNG file.
        size: (height, width) of the image.
        image: The image, for messages.

    Returns:
        ``(height, width)`` int32; the numbers are those of the file.

    Raises:
        NotFoundError: There is no such file.
        ImageError: It does not hold labels, has another size than the image, or holds numbers that
            would be lost when it is written again.
        InputError: Its suffix is one that labels are not written as.
        StorageError: It cannot be read.
    """
    if path.suffix.lower() not in LABEL_SUFFIXES:
        raise InputError(f"{path}: labels are corrected in {', '.join(LABEL_SUFFIXES)} files")
    labels = read_labels(path)
    if labels.shape != size:
        raise ImageError(
            f"{path}: the labels are {labels.shape[0]} x {labels.shape[1]} pixels (height x "
            f"width), the image {image} is {size[0]} x {size[1]}; give the labels of this image"
        )
    if (labels == IGNORED).any():
        raise ImageError(
            f"{path}: holds {IGNORED} (not annotated), which cannot be written again; correct it "
            "in the tool that made it, or give these pixels the number 0"
        )
    stored = read_plane(SourceSpec(str(path)), as_labels=True)
    if int(stored.max()) > max(MOST_KEPT, labels.size):
        raise ImageError(
            f"{path}: holds ids up to {int(stored.max())}, too large to stay as they are; number "
            "the objects from 1 first"
        )
    return labels


@contextmanager
def locked_labels(path: Path) -> Iterator[None]:
    """Keep other samzoo processes from changing a label file while the block runs.

    The lock ends with the process, so a killed one leaves none.

    Args:
        path: The label file, which need not exist yet. The lock is a hidden file beside it.

    Raises:
        InputError: Another process has it.
        StorageError: The folder cannot be written.
    """
    place = path.with_name(f".{path.name}.lock")
    try:
        make_folder(place.parent)
        lock = FileLock(place)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"{path}: is being annotated in another window or command of samzoo; close it, or "
            "choose another image or output"
        ) from error
    except (OSError, NotImplementedError) as error:  # the latter: a disk without locks
        reason = getattr(error, "strerror", None) or error
        raise StorageError(f"{path}: cannot be locked ({reason})") from error
    try:
        yield
    finally:
        # It is deleted while it is held: nobody waits for it, and it is of no use to people.
        with suppress(OSError):  # Windows keeps a file that is open
            place.unlink(missing_ok=True)
        lock.release()
