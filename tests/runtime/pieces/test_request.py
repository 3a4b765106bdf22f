"""Requests: where their work lies, and which outputs they refuse."""

import dataclasses
from pathlib import Path

import pytest

from samzoo.runtime.errors import InputError, OutputExistsError
from samzoo.runtime.pieces.request import base_state, check_large_output
from samzoo.runtime.pixels.reader import ArrayReader
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.runtime.windows.source import ImageSource


def test_the_work_lies_beside_the_output(make_request, cells):
    request = make_request(cells((40, 40)))
    assert request.work == request.output.with_name("labels.tif.partial")


@pytest.mark.parametrize("name", ["labels.png", "labels", "labels.npy", "labels.csv"])
def test_other_suffixes_are_refused_with_the_ones_that_are_written(tmp_path, name):
    with pytest.raises(InputError, match=r"as \.tif, as \.zarr, or into an image"):
        check_large_output(tmp_path / name, SourceSpec("image.tif"), force=False)


def test_an_existing_output_needs_force(tmp_path):
    output = tmp_path / "labels.tif"
    output.write_bytes(b"mine")
    with pytest.raises(OutputExistsError):
        check_large_output(output, SourceSpec(str(tmp_path / "image.tif")), force=False)
    check_large_output(output, SourceSpec(str(tmp_path / "image.tif")), force=True)
    assert output.read_bytes() == b"mine"


def test_the_image_itself_is_never_the_output(tmp_path):
    image = tmp_path / "image.tif"
    image.write_bytes(b"pixels")
    with pytest.raises(InputError, match=r"image\.tif"):
        check_large_output(image, SourceSpec(str(image)), force=True)


CHANGES = {
    "placements": {"placements": 2},
    "average": {"average": 2},
    "tile_shape": {"tile_shape": (40, 40)},
    "halo": {"halo": (8, 8)},
    "block": {"block": 64},
}


@pytest.mark.parametrize("key", CHANGES)
def test_the_state_names_everything_that_the_pieces_depend_on(make_request, cells, key):
    image = cells((40, 40))
    source = ImageSource(ArrayReader(image), "image")

    def state(fields):
        request = make_request(image)
        for name, value in fields.items():
            request = dataclasses.replace(request, **{name: value})
        return base_state(request, source)

    before, after = state({}), state(CHANGES[key])
    assert [name for name in before if before[name] != after[name]] == [key]


def test_a_workers_model_is_the_one_that_was_opened(make_request, cells, package):
    request = make_request(cells((40, 40)))
    assert Path(request.worker_model.package) == package.resolve()
