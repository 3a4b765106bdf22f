"""What tests of the runtime share: irregular objects, and cells for work in pieces."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from samzoo.runtime import load
from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.large.large_image import segment_large
from samzoo.runtime.pieces.request import Request
from samzoo.runtime.pixels.source_spec import SourceSpec

PARAMETERS = AisParameters(
    foreground_threshold=0.35, center_distance_threshold=0.45, boundary_distance_threshold=0.4,
    foreground_smoothing=1.0, distance_smoothing=1.6, min_size=12,
)  # fmt: skip
"""Both smoothings on, and some seeds too small to stay."""


def draw_cells(shape, *, seed=0, spacing=15):
    """Smooth blobs about ``spacing`` apart, many of them touching; uint16."""
    rng = np.random.default_rng(seed)
    image = np.zeros(shape, np.float32)
    for y in range(0, shape[0] + spacing, spacing):
        for x in range(0, shape[1] + spacing, spacing):
            cy, cx = np.array([y, x]) + rng.uniform(-5, 5, 2)
            radius, height = rng.uniform(3, 8), rng.uniform(0.3, 1)
            y0, x0 = max(0, int(cy) - 20), max(0, int(cx) - 20)
            rows, columns = np.mgrid[y0 : y0 + 40, x0 : x0 + 40]
            blob = height * np.exp(-((rows - cy) ** 2 + (columns - cx) ** 2) / radius**2)
            part = image[y0 : y0 + 40, x0 : x0 + 40]
            np.maximum(part, blob[: part.shape[0], : part.shape[1]], out=part)
    noisy = image * 40000 + rng.uniform(0, 2000, shape)
    return noisy.astype(np.uint16)


@pytest.fixture(scope="session")
def cells():
    """Make an image of cells: ``cells(shape, seed=..., spacing=...)``."""
    return draw_cells


@pytest.fixture
def package(tmp_path, make_package, toy_config):
    """A toy model that stretches by percentiles and smooths its maps."""
    config = dataclasses.replace(toy_config(intensity="percentile"), ais=PARAMETERS)
    return make_package(tmp_path / "package", config=config)


@pytest.fixture
def whole(package):
    """Segment an array at once: what the pieces must give."""
    return lambda image: load(package).segment(image)


@pytest.fixture
def make_request(tmp_path, package):
    """A request in small blocks: ``make_request(array or path, output=..., ...)``."""

    def make(image, output="labels.tif", *, spec=None, **fields):
        path = image
        if not isinstance(image, str | Path):
            path = tmp_path / "image.tif"
            there = path.exists() and np.array_equal(tifffile.imread(path), image)
            if not there:  # a file written anew is another one
                tifffile.imwrite(path, image)
        source = dataclasses.replace(spec or SourceSpec(""), path=str(path))
        small = {"block": 128, "margin": 48, **fields}
        return Request(source, load(package, threads=1), tmp_path / output, **small)

    return make


@pytest.fixture
def in_pieces(make_request):
    """Segment in pieces and read the labels: ``in_pieces(image, ...)``."""

    def run(image, **fields):
        request = make_request(image, **fields)
        segment_large(request)
        return tifffile.imread(request.output)

    return run


@pytest.fixture
def labels():
    """Five irregular objects, numbered 3, 6, 9, 12 and 15."""
    values = ndimage.gaussian_filter(np.random.default_rng(4).standard_normal((70, 90)), 3)
    found, _ = ndimage.label(values > 0)
    return (found * 3).astype(np.int32)
