"""Annotations that are no label images: outlines and boxes in files of other tools.

In: a file's name. Out: what it is, and how to make a label image of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_DRAW = (
    "draw each shape with a number of its own into an image of the image's size, for example in "
    "Python with skimage.draw.polygon, and save that as TIFF"
)
_FIJI = (
    "open the image and the ROIs in Fiji, run Image > Overlay > From ROI Manager, then Plugins > "
    "MorphoLibJ or LOCI > ROI Map, and save the label image as TIFF"
)

SHAPES: dict[str, tuple[str, str]] = {
    ".json": ("outlines or boxes in JSON (COCO, labelme, SA-1B)", _DRAW),
    ".geojson": ("outlines in GeoJSON, as QuPath writes them",
                 "in QuPath, export a labelled image instead (script: LabeledImageServer with "
                 "useInstanceLabels), or " + _DRAW),
    ".txt": ("outlines or boxes in text (YOLO, Cellpose's _cp_outlines)", _DRAW),
    ".xml": ("outlines or boxes in XML (Pascal VOC, CVAT, Aperio)", _DRAW),
    ".svg": ("a drawing (SVG)", _DRAW),
    ".csv": ("a table", _DRAW),
    ".zip": ("ROIs of ImageJ, or another archive", _FIJI),
    ".roi": ("a ROI of ImageJ", _FIJI),
    ".npz": ("an archive of arrays", "save the labels as TIFF or .npy"),
    ".h5": ("an HDF5 file", "export its labels as TIFF"),
    ".hdf5": ("an HDF5 file", "export its labels as TIFF"),
    ".mat": ("a MATLAB file", "write its label matrix with imwrite(uint16(labels), 'a.png')"),
    ".zarr": ("a Zarr folder", "export its labels as TIFF"),
}  # fmt: skip
"""What people give as labels, by suffix, with the way to label images."""


def advice_on_shapes(path: Path) -> str | None:
    """Say what a file of annotations is, and how to make a label image of it.

    Args:
        path: A file or folder; only its name counts.

    Returns:
        A sentence without the file's name, or None for any other file.
    """
    found = SHAPES.get(path.suffix.lower())
    return None if found is None else f"is {found[0]}, which is no label image; {found[1]}"


def advice_on_folder(files: Iterable[Path]) -> str:
    """Say which annotations in other forms a folder without label images holds.

    Args:
        files: What lies in the folder.

    Returns:
        A sentence that continues a message; empty if there are none.
    """
    first: dict[str, Path] = {}
    for path in sorted(files):
        if path.suffix.lower() in SHAPES and not path.name.startswith("."):
            first.setdefault(path.suffix.lower(), path)
    return "".join(f". {path.name} {advice_on_shapes(path)}" for path in first.values())
