"""Files that samzoo does not read, and what to do with each.

In: a file's name and first bytes. Out: a sentence that says what the file is and how to convert
it, or None.

Sources of the first bytes: the formats' descriptions; ``formats`` of Bio-Formats 8; for pages and
pointers in place of a download, git-lfs' specification and HTML.
"""

from __future__ import annotations

from pathlib import Path

from samzoo.runtime.formats.files import is_web_page
from samzoo.runtime.formats.tensor_files import LFS_START

_FIJI = (
    "convert it to OME-TIFF: in Fiji choose Plugins > Bio-Formats > Bio-Formats Importer, then "
    "Plugins > Bio-Formats > Bio-Formats Exporter, or run bfconvert IMAGE image.ome.tif"
)
_ND2 = (
    _FIJI + "; or in Python, with the package nd2, "
    "nd2.ND2File('IMAGE.nd2').write_tiff('image.ome.tif')"
)
_SLIDE = "convert it to a pyramid in OME-TIFF: run Bio-Formats' bfconvert, or export it from QuPath"
_PYTHON = "write the array that you want to segment with tifffile.imwrite('image.tif', array)"
_MEDICAL = (
    "write the slice or volume as a TIFF, for example in Fiji, in ITK-SNAP, or in Python with "
    "SimpleITK and tifffile"
)
_PICTURE = "export it as PNG or TIFF"
_AGAIN = "download the file itself again"

BY_SUFFIX: dict[str, tuple[str, str]] = {
    ".vsi": ("the index of an Olympus VSI slide (its pixels lie in the folder beside it)", _SLIDE),
    ".ets": ("part of an Olympus VSI slide", _SLIDE),
    ".mrxs": ("the index of a 3DHISTECH MIRAX slide (its pixels lie in the folder beside it)",
              _SLIDE),
    ".czi": ("a Zeiss CZI file", _FIJI),
    ".zvi": ("a Zeiss ZVI file", _FIJI),
    ".nd2": ("a Nikon ND2 file", _ND2),
    ".lif": ("a Leica LIF file", _FIJI),
    ".xlif": ("a Leica XLIF file", _FIJI),
    ".lof": ("a Leica LOF file", _FIJI),
    ".lei": ("a Leica LEI file", _FIJI),
    ".oib": ("an Olympus OIB file", _FIJI),
    ".oif": ("an Olympus OIF file", _FIJI),
    ".oir": ("an Olympus OIR file", _FIJI),
    ".ims": ("an Imaris file", "convert it to OME-TIFF in Fiji with Plugins > Bio-Formats"),
    ".sld": ("a SlideBook file", _FIJI),
    ".dv": ("a DeltaVision file", _FIJI),
    ".r3d": ("a DeltaVision file", _FIJI),
    ".mvd2": ("a Volocity file", _FIJI),
    ".dm3": ("a Gatan DM3 file", "convert it to TIFF in Fiji: File > Open, then Save As > Tiff"),
    ".dm4": ("a Gatan DM4 file", "convert it to TIFF in Fiji: File > Open, then Save As > Tiff"),
    ".mrc": ("an MRC file", _PYTHON + ", with mrcfile.read to read it"),
    ".rec": ("an MRC file", _PYTHON + ", with mrcfile.read to read it"),
    ".dcm": ("a DICOM file", _MEDICAL),
    ".dicom": ("a DICOM file", _MEDICAL),
    ".nii": ("a NIfTI file", _MEDICAL),
    ".nrrd": ("an NRRD file", _MEDICAL),
    ".nhdr": ("an NRRD header", _MEDICAL),
    ".mha": ("a MetaImage file", _MEDICAL),
    ".mhd": ("a MetaImage header", _MEDICAL),
    ".h5": ("an HDF5 file", _PYTHON + ", with h5py to read it"),
    ".hdf5": ("an HDF5 file", _PYTHON + ", with h5py to read it"),
    ".npy": ("a NumPy array", _PYTHON),
    ".npz": ("an archive of NumPy arrays", _PYTHON),
    ".dng": ("a raw picture of a camera", "develop it and " + _PICTURE),
    ".cr2": ("a raw picture of a camera", "develop it and " + _PICTURE),
    ".nef": ("a raw picture of a camera", "develop it and " + _PICTURE),
    ".arw": ("a raw picture of a camera", "develop it and " + _PICTURE),
    ".svg": ("a drawing (SVG)", _PICTURE),
}  # fmt: skip
"""By suffix, for files whose first bytes say too little."""

DISGUISED = (".vsi", ".mrxs", ".dng", ".cr2", ".nef", ".arw")
"""Suffixes of files that begin as a TIFF or JPEG, which is not the image that they stand for."""

_BY_MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"ZISRAWFILE", "a Zeiss CZI file", _FIJI),
    (0, b"\xda\xce\xbe\x0a", "a Nikon ND2 file", _ND2),
    (0, b"\x70\0\0\0", "a Leica LIF file", _FIJI),
    (0, b"OLYMPUSRAWFORMAT", "an Olympus OIR file", _FIJI),
    (0, b"SIS\0", "part of an Olympus VSI slide", _SLIDE),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
     "a compound file, such as Olympus OIB or Zeiss ZVI", _FIJI),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file (also Imaris .ims, ilastik and BigDataViewer)",
     _PYTHON + ", with h5py to read it"),
    (0, b"\x93NUMPY", "a NumPy array", _PYTHON),
    (128, b"DICM", "a DICOM file", _MEDICAL),
    (344, b"n+1\0", "a NIfTI file", _MEDICAL),
    (344, b"ni1\0", "a NIfTI header", _MEDICAL),
    (0, b"NRRD", "an NRRD file", _MEDICAL),
    (0, b"ObjectType", "a MetaImage file", _MEDICAL),
    (208, b"MAP ", "an MRC file", _PYTHON + ", with mrcfile.read to read it"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 file (also old Nikon ND2)", _PICTURE),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 file", _PICTURE),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL file", _PICTURE),
    (0, b"\xff\x0a", "a JPEG XL file", _PICTURE),
    (0, b"II\xbc\x01", "a JPEG XR file", _PICTURE),
    (4, b"ftyp", "a HEIC or AVIF picture or a film", _PICTURE),
    (0, b"8BPS", "a Photoshop file", _PICTURE),
    (0, b"gimp xcf", "a GIMP file", _PICTURE),
    (0, b"%PDF", "a PDF file", _PICTURE),
    (0, b"P2\n", "a PGM picture", _PICTURE),
    (0, b"P4\n", "a PBM picture", _PICTURE),
    (0, b"P5\n", "a PGM picture", _PICTURE),
    (0, b"P6\n", "a PPM picture", _PICTURE),
    (8, b"AVI ", "a film", "export the frame to segment as PNG or TIFF"),
    (0, b"PK\x03\x04", "a ZIP archive", "unpack it, and give the images inside"),
    (0, b"\x1f\x8b", "a gzip archive (also .nii.gz)", "unpack it; " + _MEDICAL),
    (0, b"Rar!", "a RAR archive", "unpack it, and give the images inside"),
    (0, b"7z\xbc\xaf", "a 7z archive", "unpack it, and give the images inside"),
    (0, LFS_START, "a git-lfs pointer, not the image",
     "run git lfs pull, or " + _AGAIN),
)  # fmt: skip


def advice_on(path: Path, start: bytes, *, readable: bool) -> str | None:
    """Say what a file is that samzoo does not read, and how to convert it.

    Args:
        path: The file.
        start: Its first 512 bytes.
        readable: The first bytes are of a kind that samzoo reads.

    Returns:
        A sentence without the file's name, or None for a kind that may be readable.
    """
    suffix = path.suffix.lower()
    if suffix in DISGUISED:
        return _sentence(*BY_SUFFIX[suffix])
    if readable:
        return None
    if suffix == ".npz":  # begins as the ZIP archive that it is
        return _sentence(*BY_SUFFIX[suffix])
    for offset, magic, what, remedy in _BY_MAGIC:
        if start[offset : offset + len(magic)] == magic:
            return _sentence(what, remedy)
    if is_web_page(start):
        return _sentence("a web page, not the image", _AGAIN)
    if suffix in BY_SUFFIX:
        return _sentence(*BY_SUFFIX[suffix])
    return None


def _sentence(what: str, remedy: str) -> str:
    return f"is {what}, which samzoo does not read; {remedy}"
