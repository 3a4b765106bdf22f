"""The scale of a file is that of the image in it, in memory or read in windows."""

import numpy as np
import pytest
import tifffile

from samzoo.runtime.large.file_scale import scale_of_file
from samzoo.runtime.model import Model
from samzoo.runtime.pixels.source_spec import SourceSpec


@pytest.fixture
def model(toy_config, toy_networks):
    return Model(toy_config(object_diameter=12.0, intensity="percentile"), toy_networks)


@pytest.mark.parametrize("diameter", ["auto", "own", None, 30.0])
def test_a_file_has_the_scale_of_its_image(model, discs, tmp_path, diameter):
    image = discs((220, 180), [(y, x) for y in range(30, 200, 40) for x in (40, 90, 150)], 9.0)
    tifffile.imwrite(tmp_path / "a.tif", image)
    found = scale_of_file(model, SourceSpec(str(tmp_path / "a.tif")), diameter)
    assert found == model.object_scale(image, diameter)


def test_an_even_image_has_no_objects(model, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((30, 30), 7, np.uint8))
    assert scale_of_file(model, SourceSpec(str(tmp_path / "a.tif")), "auto").doubt
