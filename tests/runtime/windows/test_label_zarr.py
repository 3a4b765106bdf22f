"""OME-Zarr in and out, with ome-zarr-py as the reader that must agree."""

import json

import numpy as np
import pytest
import tifffile

from samzoo.runtime.errors import ImageError, InputError, OutputExistsError
from samzoo.runtime.images.opening import stack_shape
from samzoo.runtime.large.large_image import segment_large
from samzoo.runtime.pieces.request import check_large_output
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.runtime.windows.opening import open_source

zarr = pytest.importorskip("zarr")


@pytest.fixture
def make_image(tmp_path):
    """Write a multiscale image by hand: ``make_image(array, axes, version)``."""

    def make(array, axes="yx", version="0.5", name="image.zarr", **changes):
        folder = tmp_path / name
        group = zarr.open_group(str(folder), mode="w", zarr_format=2 if version == "0.4" else 3)
        scale = [0.5 if axis in "yx" else 1.0 for axis in axes]
        datasets = []
        for level in range(2):
            step = 2**level
            part = array[..., ::step, ::step]
            group.create_array(str(level), data=np.ascontiguousarray(part))
            factors = [s * step if a in "yx" else s for a, s in zip(axes, scale, strict=True)]
            transforms = [{"type": "scale", "scale": factors}]
            datasets.append({"path": str(level), "coordinateTransformations": transforms})
        kinds = {"c": "channel", "t": "time"}
        described = [{"name": axis, "type": kinds.get(axis, "space")} for axis in axes]
        multiscale = {"axes": described, "datasets": datasets, **changes}
        if version == "0.4":
            group.attrs["multiscales"] = [{"version": "0.4", **multiscale}]
        else:
            group.attrs["ome"] = {"version": version, "multiscales": [multiscale]}
        return folder

    return make


def read(path, window=None, **choice):
    source = open_source(SourceSpec(str(path), **choice))
    return source.read(window or (0, 0, *source.size))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_levels_channels_and_planes_are_read(make_image, version, rng):
    array = rng.integers(0, 60000, (2, 4, 3, 21, 30)).astype(np.uint16)  # t c z y x
    path = make_image(array, "tczyx", version)
    assert stack_shape(SourceSpec(str(path), channel=1))[:-2] == (2, 3)
    np.testing.assert_array_equal(read(path, channel=3, plane=0), array[0, 3, 0])
    np.testing.assert_array_equal(read(path, channel=1, plane=5), array[1, 1, 2])
    np.testing.assert_array_equal(read(path, channel=1, level=1, plane=0), array[0, 1, 0, ::2, ::2])
    window = (3, 5, 17, 30)
    np.testing.assert_array_equal(
        read(path, window, channel=2, plane=0), array[0, 2, 0, 3:17, 5:30]
    )
    with pytest.raises(ImageError, match="one of 4 channels with --channel"):
        read(path, plane=0)
    with pytest.raises(InputError, match="--channel: found 4, the file has 4: 0 to 3"):
        read(path, channel=4, plane=0)
    with pytest.raises(InputError, match="--level: found 2, the image has 2: 0 to 1"):
        read(path, level=2)


def test_three_channels_are_colours(make_image, rng):
    array = rng.integers(0, 255, (3, 20, 30)).astype(np.uint8)
    np.testing.assert_array_equal(read(make_image(array, "cyx")), np.moveaxis(array, 0, -1))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_written_into_an_image_open_in_ome_zarr_py(
    version, make_image, cells, whole, make_request
):
    array = cells((300, 310))
    path = make_image(array[None, None], "tzyx", version)
    request = make_request(path, output=f"{path.name}/labels/cells")
    segment_large(request)
    expected = whole(array)
    found, scales = labels_by_ome_zarr(path, "cells")
    np.testing.assert_array_equal(found[0], expected[None, None])
    np.testing.assert_array_equal(found[1], expected[None, None, ::2, ::2])
    assert scales[0][-2:] == [0.5, 0.5]
    assert scales[1][-2:] == [1.0, 1.0]
    inside = zarr.open_group(str(path / "labels/cells")).attrs.asdict()
    assert inside.get("ome", inside)["image-label"]["source"] == {"image": "../../"}

    with pytest.raises(OutputExistsError, match="exists already; pass --force"):
        check_large_output(request.output, request.source, force=request.force)
    second = make_request(path, output=f"{path.name}/labels/more")
    segment_large(second)
    names = zarr.open_group(str(path / "labels")).attrs.asdict()
    assert names.get("ome", names)["labels"] == ["cells", "more"]
    assert sorted(p.name for p in (path / "labels").iterdir() if p.is_dir()) == ["cells", "more"]


@pytest.mark.parametrize("colours", [False, True])
def test_a_new_store_holds_the_image_and_its_labels(colours, cells, whole, make_request, tmp_path):
    array = cells((300, 310))
    if colours:
        grey = (array >> 8).astype(np.uint8)
        array = np.stack([grey, grey // 2, grey // 3], axis=-1)
    request = make_request(array, output="new.zarr")
    check_large_output(request.output, request.source, force=request.force)
    segment_large(request)
    found, _ = labels_by_ome_zarr(tmp_path / "new.zarr", "objects")
    np.testing.assert_array_equal(found[0], whole(array))
    np.testing.assert_array_equal(read(tmp_path / "new.zarr"), array)
    assert not (tmp_path / "new.zarr.partial").exists()


def labels_by_ome_zarr(path, name):
    """Levels and scales of an image's labels, found and read by ome-zarr-py."""
    pytest.importorskip("ome_zarr", exc_type=ImportError)
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Labels, Reader

    nodes = list(Reader(parse_url(str(path)))())
    assert any(node.load(Labels) for node in nodes)
    (node,) = [node for node in nodes if str(node.zarr).rstrip("/").endswith(f"labels/{name}")
               or f"labels/{name}" in repr(node.zarr)]  # fmt: skip
    transforms = node.metadata["coordinateTransformations"]
    scales = [next(t["scale"] for t in level if t["type"] == "scale") for level in transforms]
    return [np.asarray(level) for level in node.data], scales


def test_missing_chunks_are_told(make_image, cells):
    path = make_image(cells((300, 310)))
    chunk = next(p for p in (path / "0").rglob("*") if p.is_file() and p.name != "zarr.json")
    chunk.unlink()
    source = open_source(SourceSpec(str(path)))
    assert any("1 of" in note and "never written" in note for note in source.notes)


def test_a_damaged_chunk_is_an_error(make_image, cells):
    path = make_image(cells((300, 310)))
    chunk = next(p for p in (path / "0").rglob("*") if p.is_file() and p.name != "zarr.json")
    chunk.write_bytes(b"not a chunk")
    with pytest.raises(ImageError, match="a chunk is damaged"):
        read(path)


def test_another_version_is_refused(make_image, cells):
    path = make_image(cells((30, 31)), version="0.9")
    with pytest.raises(ImageError, match=r"version: found '0\.9', allowed: 0\.4, 0\.5"):
        read(path)


def test_a_group_that_is_no_image_is_refused(tmp_path):
    zarr.open_group(str(tmp_path / "a.zarr"), mode="w").attrs["plate"] = {}
    with pytest.raises(ImageError, match="no multiscales found, this is a plate"):
        read(tmp_path / "a.zarr")


def test_a_folder_of_bioformats2raw_says_which_image_to_name(tmp_path):
    folder = tmp_path / "a.zarr"
    zarr.open_group(str(folder), mode="w").attrs["bioformats2raw.layout"] = 3
    with pytest.raises(ImageError, match=r"bioformats2raw; name one of them, such as .*a\.zarr/0"):
        read(folder)


def test_paths_that_lead_outside_are_refused(make_image, cells):
    path = make_image(cells((30, 31)))
    document = json.loads((path / "zarr.json").read_text())
    document["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = "../secret"
    (path / "zarr.json").write_text(json.dumps(document))
    with pytest.raises(ImageError, match=r"unsafe path '\.\./secret'"):
        read(path)


def test_labels_of_another_image_are_refused(make_image, cells, make_request, tmp_path):
    path = make_image(cells((30, 31)))
    tifffile.imwrite(tmp_path / "other.tif", cells((30, 31)))
    request = make_request(tmp_path / "other.tif", output=f"{path.name}/labels/cells")
    with pytest.raises(InputError, match=r"lies in the image .*image\.zarr, but .*other\.tif"):
        check_large_output(request.output, request.source, force=request.force)
    inside = make_request(path, output=f"{path.name}/0/cells")
    with pytest.raises(InputError, match="write labels to IMAGE/labels/NAME"):
        check_large_output(inside.output, inside.source, force=inside.force)
