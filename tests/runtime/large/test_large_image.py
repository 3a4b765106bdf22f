"""Segmenting in pieces: what the whole image gives, however it is cut, also after interruptions."""

import csv
import dataclasses

import numpy as np
import pytest
import tifffile

from samzoo.runtime.errors import ImageError, InputError, ShapeError, StorageError
from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.large.large_image import segment_large
from samzoo.runtime.pieces.request import check_large_output
from samzoo.runtime.pieces.steps import STEPS, ThisProcess


@pytest.mark.parametrize("size", [(300, 410), (256, 128), (129, 257), (64, 64), (33, 500), (1, 1)])
def test_labels_are_those_of_the_whole_image(size, cells, whole, in_pieces):
    image = cells(size)
    image[0, 0] = 50000  # not constant, however small
    expected = whole(image)
    found = in_pieces(image)
    np.testing.assert_array_equal(found, expected)
    if size[0] > 64:
        assert expected.max() > 25


@pytest.mark.parametrize(("block", "margin"), [(64, 48), (96, 64), (208, 48), (1024, 0)])
def test_labels_do_not_depend_on_the_blocks(block, margin, cells, whole, in_pieces):
    image = cells((310, 333), seed=3)
    np.testing.assert_array_equal(in_pieces(image, block=block, margin=margin), whole(image))


@pytest.mark.parametrize("tile_shape", [(40, 40), (17, 31), (64, 16)])
def test_labels_do_not_depend_on_the_tiles(tile_shape, cells, whole, in_pieces):
    image = cells((200, 260), seed=4)
    found = in_pieces(image, tile_shape=tile_shape, halo=(0, 0))
    np.testing.assert_array_equal(found, whole(image))


@pytest.mark.parametrize("tile_shape", [None, (40, 30)])
def test_placements_give_what_they_give_in_the_whole_image(
    tile_shape, cells, make_request, leaning_model
):
    image = cells((310, 333), seed=5)
    request = make_request(image, tile_shape=tile_shape, placements=3)
    model = leaning_model(request.model.config)
    segment_large(dataclasses.replace(request, model=model))
    labels = tifffile.imread(request.output)
    expected = model.segment(image, tile_shape=tile_shape, placements=3)
    np.testing.assert_array_equal(labels, expected)
    assert labels.max() > 25
    assert not np.array_equal(labels, model.segment(image, tile_shape=tile_shape))


def test_averages_give_what_they_give_in_the_whole_image(cells, make_request, leaning_model):
    image = cells((210, 233), seed=5)
    request = make_request(image, average=4)
    model = leaning_model(request.model.config)
    segment_large(dataclasses.replace(request, model=model))
    labels = tifffile.imread(request.output)
    np.testing.assert_array_equal(labels, model.segment(image, average=4))
    assert not np.array_equal(labels, model.segment(image))


def test_other_placements_are_not_gone_on_with(cells, make_request):
    image = cells((200, 200))
    with pytest.raises(KeyboardInterrupt):
        segment_large(make_request(image, executor=Interrupted(3)))
    with pytest.raises(InputError, match="was begun with other input: placements"):
        segment_large(make_request(image, placements=2))


def test_an_object_over_many_blocks_is_one(whole, in_pieces):
    rows, columns = np.mgrid[:300, :300]
    radius = np.hypot(rows - 150, columns - 150)
    image = np.where(abs(radius - 120) < 6, 60000, 100).astype(np.uint16)  # a ring
    image[145:156, 20:280] = 60000
    found = in_pieces(image, block=64, margin=16)
    assert found.max() == whole(image).max() == 1
    np.testing.assert_array_equal(found, whole(image))


def test_a_seed_that_meets_itself_over_a_corner_is_one(whole, in_pieces):
    image = np.full((128, 128), 100, np.uint16)
    for step in range(-20, 21):  # two diagonals through the point where four blocks meet
        image[64 + step, 64 + step] = image[63 - step, 64 + step] = 60000
    parameters = AisParameters(
        foreground_threshold=0.5, foreground_smoothing=0, distance_smoothing=0, min_size=0
    )
    found = in_pieces(image, block=64, margin=16, parameters=parameters)
    assert found.max() == 1


def test_a_constant_image_has_no_objects_and_is_not_encoded(in_pieces, monkeypatch):
    monkeypatch.setitem(STEPS, "maps", None)
    assert in_pieces(np.full((300, 200), 7, np.uint16)).max() == 0


def test_rgb_is_segmented_as_a_whole_image_is(cells, whole, in_pieces):
    grey = (cells((200, 210)) >> 8).astype(np.uint8)
    image = np.stack([grey, grey // 2, grey], axis=-1)
    np.testing.assert_array_equal(in_pieces(image), whole(image))


class Interrupted:
    """Does so many pieces in all and is interrupted then."""

    def __init__(self, pieces):
        self.left = pieces

    def run(self, context, step, pieces, done):
        for index in pieces:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            STEPS[step](context, index)
            done()


@pytest.mark.parametrize("pieces", [0, 3, 8, 14])
def test_an_interrupted_run_goes_on(pieces, cells, whole, make_request):
    image = cells((260, 300))
    request = make_request(image, executor=Interrupted(pieces))
    with pytest.raises(KeyboardInterrupt):
        segment_large(request)
    assert not request.output.exists()
    counter = Counter()
    result = segment_large(make_request(image, executor=counter))
    assert result.resumed
    np.testing.assert_array_equal(tifffile.imread(request.output), whole(image))
    assert not request.work.exists()
    all_pieces = Counter()
    segment_large(make_request(image, output="again.tif", executor=all_pieces))
    assert counter.pieces == all_pieces.pieces - pieces


class Counter(ThisProcess):
    def __init__(self):
        self.pieces = 0

    def run(self, context, step, pieces, done):
        self.pieces += len(pieces)
        super().run(context, step, pieces, done)


def test_a_full_disk_leaves_no_output_and_is_gone_on_from(cells, whole, make_request, monkeypatch):
    image = cells((200, 200))
    request = make_request(image)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tifffile, "imwrite", full)
        with pytest.raises(StorageError, match="No space left"):
            segment_large(request)
    assert not request.output.exists()
    assert segment_large(request).resumed
    np.testing.assert_array_equal(tifffile.imread(request.output), whole(image))


def test_work_of_another_image_is_not_gone_on_with(cells, make_request):
    with pytest.raises(KeyboardInterrupt):
        segment_large(make_request(cells((200, 200)), executor=Interrupted(3)))
    other = cells((200, 201))
    with pytest.raises(
        InputError, match=r"labels\.tif\.partial: was begun with other input: source_state"
    ):
        segment_large(make_request(other))
    assert segment_large(make_request(other, force=True)).objects > 10


def test_other_parameters_are_not_gone_on_with(cells, make_request):
    image = cells((200, 200))
    with pytest.raises(KeyboardInterrupt):
        segment_large(make_request(image, executor=Interrupted(3)))
    with pytest.raises(InputError, match="was begun with other input: ais"):
        segment_large(make_request(image, parameters=AisParameters(min_size=3)))


class Growing:
    """Changes the image while it is read."""

    def __init__(self, path):
        self.path = path

    def run(self, context, step, pieces, done):
        ThisProcess().run(context, step, pieces, done)
        with open(self.path, "ab") as file:
            file.write(b"more")


def test_an_image_that_is_changed_meanwhile_gives_no_output(cells, make_request):
    request = make_request(cells((200, 200)))
    growing = make_request(cells((200, 200)), executor=Growing(request.source.path))
    with pytest.raises(ImageError, match="changed while it was read"):
        segment_large(growing)
    assert not request.output.exists()


def test_a_tile_that_does_not_fit_the_field_is_refused(cells, make_request):
    with pytest.raises(ShapeError, match="field of view is 64"):
        segment_large(make_request(cells((200, 200)), tile_shape=(60, 60), halo=(8, 8)))


def test_a_table_lists_the_objects(cells, make_request, tmp_path):
    request = make_request(cells((260, 300)), table=tmp_path / "table.csv")
    result = segment_large(request)
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == result.objects > 50
    areas = np.bincount(tifffile.imread(request.output).ravel())
    assert [int(row["area"]) for row in rows] == areas[1:].tolist()


def test_progress_names_the_stages_and_ends_complete(cells, make_request):
    seen = {}
    request = make_request(cells((200, 200)))
    segment_large(request, lambda stage, done, total: seen.update({stage: (done, total)}))
    assert list(seen) == ["look", "maps", "seeds", "join", "objects", "write"]
    assert all(done == total for done, total in seen.values())


def test_other_outputs_are_refused(make_request, cells):
    request = make_request(cells((20, 20)), output="labels.png")
    with pytest.raises(InputError, match=r"written as \.tif, as \.zarr"):
        check_large_output(request.output, request.source, force=False)
