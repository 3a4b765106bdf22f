"""TIFFs of any layout read window by window, against tifffile reading them at once."""

import sys
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import tifffile

from samzoo.runtime.errors import (
    ImageError,
    InputError,
    MissingDependencyError,
    NotFoundError,
)
from samzoo.runtime.images.opening import stack_shape
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.runtime.pixels.tiff import source as tiff_source
from samzoo.runtime.windows.opening import open_source

WINDOWS = [(0, 0, 70, 90), (3, 5, 33, 64), (60, 80, 70, 90), (16, 0, 17, 90)]


@pytest.fixture
def in_chunks():
    """Compressed files are read chunk by chunk."""
    pytest.importorskip("zarr")


def check(path, expected, **choice):
    with closing(open_source(SourceSpec(str(path), **choice))) as source:
        assert source.size == expected.shape[:2]
        for window in WINDOWS:
            y0, x0, y1, x1 = window
            np.testing.assert_array_equal(source.read(window), expected[y0:y1, x0:x1])


LAYOUTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "big endian": {"byteorder": ">"},
    "strips": {"compression": "zlib", "rowsperstrip": 16},
    "one strip": {"compression": "zlib", "rowsperstrip": 70},
    "tiles": {"compression": "zlib", "tile": (32, 48), "predictor": True},
    "plain tiles": {"tile": (16, 16)},
    "BigTIFF": {"bigtiff": True},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_windows_of_any_layout(layout, dtype, in_chunks, tmp_path, rng):
    pytest.importorskip("imagecodecs") if "predictor" in LAYOUTS[layout] else None
    image = rng.integers(0, 255, (70, 90)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", image, **LAYOUTS[layout])
    check(tmp_path / "a.tif", image)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("layout", ["plain", "strips"])
def test_colours_are_at_the_end(planar, layout, in_chunks, tmp_path, rng):
    image = rng.integers(0, 255, (70, 90, 3)).astype(np.uint8)
    stored = image if planar == "contig" else np.moveaxis(image, -1, 0)
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar, **LAYOUTS[layout]
    )
    check(tmp_path / "a.tif", image)


def test_levels_of_a_pyramid(in_chunks, tmp_path, rng):
    full = rng.integers(0, 60000, (140, 180)).astype(np.uint16)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        options: dict[str, Any] = {"tile": (64, 64), "compression": "zlib"}
        file.write(full, subifds=1, metadata={"axes": "YX"}, **options)
        file.write(full[::2, ::2], subfiletype=1, **options)
    check(tmp_path / "a.ome.tif", full[::2, ::2], level=1)
    source = open_source(SourceSpec(str(tmp_path / "a.ome.tif")))
    np.testing.assert_array_equal(source.read((0, 0, 140, 180)), full)
    source.close()
    with pytest.raises(InputError, match=r"--level: found 2, the file has 2: 140x180, 70x90"):
        open_source(SourceSpec(str(tmp_path / "a.ome.tif"), level=2))


def test_series_channels_and_planes(tmp_path, rng):
    first = rng.integers(0, 255, (5, 2, 70, 90)).astype(np.uint8)
    second = rng.integers(0, 255, (70, 90)).astype(np.uint16)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        file.write(first, metadata={"axes": "ZCYX"})
        file.write(second, metadata={"axes": "YX"})
    path = tmp_path / "a.ome.tif"
    assert stack_shape(SourceSpec(str(path), series=0, channel=0))[:-2] == (5,)
    check(path, first[4, 1], series=0, channel=1, plane=4)
    check(path, second, series=1)
    with pytest.raises(ImageError, match=r"--series: 0 'Image0' \(5x2x70x90\), 1 'Image1'"):
        open_source(SourceSpec(str(path)))
    with pytest.raises(ImageError, match=r"5 planes .* 2 channels with --channel: 0 to 1"):
        open_source(SourceSpec(str(path), series=0))
    with pytest.raises(InputError, match="--series: found 2, the file has 2: 0 to 1"):
        open_source(SourceSpec(str(path), series=2))
    with pytest.raises(InputError, match="plane 5 does not exist, the file has 5"):
        open_source(SourceSpec(str(path), series=0, plane=5, channel=0))


def test_a_cut_off_file_is_an_error(in_chunks, tmp_path, rng):
    image = rng.integers(0, 255, (70, 90)).astype(np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, image, compression="zlib", tile=(16, 16))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match=r"a\.tif: "):
        check(path, image)


def test_without_zarr_small_files_are_decoded_and_large_ones_name_it(tmp_path, rng, monkeypatch):
    image = rng.integers(0, 255, (70, 90)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image, compression="zlib")
    monkeypatch.setitem(sys.modules, "zarr", None)
    check(tmp_path / "a.tif", image)
    monkeypatch.setattr(tiff_source, "MAX_PIXELS", 800)
    with pytest.raises(MissingDependencyError, match=r"\[large\]"):
        check(tmp_path / "a.tif", image)


def test_a_palette_gives_its_colours_in_every_window(tmp_path, rng):
    colours = rng.integers(0, 256, (3, 256)).astype(np.uint16) * 257
    image = rng.integers(0, 255, (70, 90)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="palette", colormap=colours)
    check(tmp_path / "a.tif", np.moveaxis(colours[:, image] // 257, 0, -1))


def test_a_missing_file_and_a_folder_are_errors(tmp_path):
    with pytest.raises(NotFoundError, match="no such file"):
        open_source(SourceSpec(str(tmp_path / "none.tif")))
    with pytest.raises(ImageError, match="is a folder"):
        open_source(SourceSpec(str(tmp_path)))


def test_nan_in_a_window_is_an_error(tmp_path):
    image = np.ones((70, 90), np.float32)
    image[40, 50] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", image)
    with closing(open_source(SourceSpec(str(tmp_path / "a.tif")))) as source:
        source.read((0, 0, 40, 90))
        with pytest.raises(ImageError, match="NaN"):
            source.read((0, 0, 41, 90))
