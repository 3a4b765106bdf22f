"""The pictures in a zip: a cover of 2:1, and a sample of each tensor that imageio reads."""

import io
import zipfile

import numpy as np
import pytest
import tifffile
from PIL import Image

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]


def test_the_cover_is_small_and_two_to_one(zips):
    for path in zips.values():
        with zipfile.ZipFile(path) as archive:
            data = archive.read("cover.png")
        width, height = Image.open(io.BytesIO(data)).size
        assert width == 2 * height
        assert len(data) < 500_000


def test_a_sample_is_the_test_tensor(zips):
    for path in zips.values():
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            assert names
            for name in names:
                tensor = np.load(io.BytesIO(archive.read(name)))
                data = archive.read(f"sample_{name.removesuffix('.npy')}.tif")
                sample = tifffile.imread(io.BytesIO(data))
                assert np.array_equal(sample.squeeze(), tensor.squeeze())
