"""Pictures in one channel of three are grey pictures."""

import io

import numpy as np
import pytest
from PIL import Image

from samzoo.runtime import load, segment_file
from samzoo.runtime.images.empty_channels import only_channel, with_notes, without_empty_channels

GREY = (np.random.default_rng(3).random((40, 50)) ** 2 * 200 + 20).astype(np.uint8)


def in_channel(grey, channel, rest=0):
    image = np.full((*grey.shape, 3), rest, grey.dtype)
    image[..., channel] = grey
    return image


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("rest", [0, 7])
def test_the_only_channel_is_found_whole_and_in_windows(channel, rest):
    image = in_channel(GREY, channel, rest)
    assert only_channel([image]) == channel
    assert only_channel([image[:7], image[7:30], image[30:]]) == channel
    np.testing.assert_array_equal(without_empty_channels(image), GREY)


@pytest.mark.parametrize("quality", [75, 95])
def test_the_traces_of_jpeg_do_not_count(cells, quality):
    grey = (cells((96, 128), seed=4) // 256).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(in_channel(grey, 2)).save(file, "JPEG", quality=quality)
    assert only_channel([np.array(Image.open(file))]) == 2


@pytest.mark.parametrize(
    "image",
    [GREY, in_channel(GREY, 0) + in_channel(GREY, 1), np.repeat(GREY[..., None], 3, axis=2),
     np.zeros((5, 6, 3), np.uint8), in_channel(GREY, 2) + in_channel(GREY // 8, 0)],
)  # fmt: skip
def test_other_pictures_stay_as_they_are(image):
    assert only_channel([image]) is None
    assert without_empty_channels(image) is image


def test_an_export_in_blue_gives_the_labels_of_the_grey_picture(package, cells, tmp_path):
    grey = (cells((70, 90), seed=2) // 256).astype(np.uint8)
    model = load(package, threads=1)
    expected = model.segment(grey)
    assert expected.max() > 2
    np.testing.assert_array_equal(model.segment(in_channel(grey, 2)), expected)
    Image.fromarray(in_channel(grey, 2)).save(tmp_path / "blue.png")
    done = segment_file(model, tmp_path / "blue.png", tmp_path / "labels.tif")
    assert done.objects == len(np.unique(expected)) - 1
    (note,) = done.notes
    assert "only the blue channel holds anything" in note


def test_a_scale_bar_beside_one_stain_gets_a_note():
    bar = in_channel(GREY, 1)
    bar[2, 3:9] = 255
    assert only_channel([bar]) is None
    read, (note,) = with_notes(bar)
    assert "pass --channel green" in note
    np.testing.assert_array_equal(read, bar)
    assert with_notes(GREY)[1] == with_notes(np.repeat(GREY[..., None], 3, axis=2))[1] == []


def test_pieces_and_stores_use_the_same_channel(make_request, whole, tmp_path, package, cells):
    tifffile = pytest.importorskip("tifffile")
    from samzoo.runtime.large.embedding_store import EmbeddingStore
    from samzoo.runtime.large.large_image import segment_large
    from samzoo.runtime.pixels.source_spec import SourceSpec

    grey = cells((150, 170), seed=5)
    path = tmp_path / "green.tif"
    tifffile.imwrite(path, in_channel(grey, 1), photometric="rgb")
    request = make_request(path)
    done = segment_large(request)
    np.testing.assert_array_equal(tifffile.imread(request.output), whole(grey))
    assert "only the green channel" in done.notes[0]
    model = load(package, threads=1)
    stored = EmbeddingStore(tmp_path / "store").embed(model, SourceSpec(str(path)))
    direct = EmbeddingStore(tmp_path / "other").embed(model, grey)
    np.testing.assert_array_equal(stored.values[0], direct.values[0])
