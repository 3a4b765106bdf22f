"""Embedding, prompting and segmenting with toy networks whose answers are known."""

import dataclasses

import numpy as np
import pytest

from samzoo.runtime.engine.embeddings import ImageEmbeddings
from samzoo.runtime.engine.networks import Networks
from samzoo.runtime.errors import ImageError, InputError, ShapeError
from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.model import Model
from samzoo.runtime.prompts.batches import objects_per_call

CENTERS = [(15, 20), (40, 90), (100, 30), (85, 110)]


@pytest.fixture
def image(discs):
    """Larger than the toy's field of 64 pixels, in both directions."""
    return discs((120, 128), CENTERS)


class PositionNetworks(Networks):
    """Maps that hold where each pixel lies in its tile, to see what is stitched."""

    def __init__(self, side=64):
        self.side = side

    def encode(self, image):
        return np.zeros((1, 256, 16, 16), np.float32)

    def decode_prompts(self, *arguments, **options):
        raise NotImplementedError

    def decode_ais(self, image_embeddings):
        rows, columns = np.mgrid[: self.side, : self.side].astype(np.float32)
        tile = np.full_like(rows, image_embeddings[0, 0, 0, 0])
        return np.stack([rows, columns, tile])[None]


def test_an_image_in_the_field_is_embedded_whole_and_unchanged(toy_model, toy_networks, discs):
    image = discs((40, 50), [(20, 20)])
    embeddings = toy_model.embed(image)
    assert [tile.outer for tile in embeddings.tiles] == [(0, 0, 40, 50)]
    assert embeddings.original_size == (40, 50)
    assert embeddings.weights_digest == "sha256:toy"
    np.testing.assert_array_equal(toy_networks.images[0], np.stack([image] * 3, axis=2))


def test_a_model_with_a_scale_tiles_large_images(toy_model, toy_networks, image):
    stages = []
    embeddings = toy_model.embed(image, progress=lambda *told: stages.append(told))
    assert len(embeddings.tiles) == len(embeddings.values) == 9
    assert all(pixels.shape == (64, 64, 3) for pixels in toy_networks.images)
    assert stages == [("embed", done, 9) for done in range(1, 10)]
    for tile, pixels in zip(embeddings.tiles, toy_networks.images, strict=True):
        y0, x0, y1, x1 = tile.outer
        np.testing.assert_array_equal(pixels[..., 0], image[y0:y1, x0:x1])


def test_a_model_without_a_scale_shrinks_to_embed_and_tiles_to_segment(
    toy_config, toy_networks, image
):
    model = Model(toy_config(scale=None), toy_networks)
    assert len(model.embed(image).tiles) == 1
    assert toy_networks.images[0].shape == (60, 64, 3)
    toy_networks.images.clear()
    labels = model.segment(image)
    assert len(toy_networks.images) == 9
    assert labels.max() == len(CENTERS)
    assert len(model.embed(image, tile_shape=(60, 64)).tiles) == 4


def test_a_scale_enlarges_what_the_network_sees(toy_config, toy_networks, discs):
    model = Model(toy_config(scale=2.0), toy_networks)
    assert model.field == 32
    model.embed(discs((20, 30), [(10, 10)]))
    assert toy_networks.images[0].shape == (40, 60, 3)


def test_intensities_are_stretched_over_the_whole_image_before_tiling(
    toy_config, toy_networks, image
):
    model = Model(toy_config(intensity="min_max"), toy_networks)
    model.embed(np.where(image > 0, 3000, 1000).astype(np.uint16))
    levels = {float(level) for pixels in toy_networks.images for level in np.unique(pixels)}
    assert levels == {0.0, 255.0}


def test_segmenting_finds_each_object_once_across_tiles(toy_model, image):
    labels = toy_model.segment(image)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels > 0, image > 0)
    assert labels.max() == len(CENTERS)
    for row, column in CENTERS:
        assert np.unique(labels[row - 3 : row + 4, column - 3 : column + 4]).size == 1


def test_any_tiling_gives_the_same_labels(toy_model, image):
    expected = toy_model.segment(image)
    for tiling in ({"tile_shape": (40, 32), "halo": (4, 16)}, {"halo": (20, 20)}, {"halo": (0, 0)}):
        np.testing.assert_array_equal(toy_model.segment(image, **tiling), expected)


def test_stitching_writes_each_pixel_once_from_its_own_tile(toy_config):
    rows, columns = np.mgrid[:120, :130]
    image = np.zeros((120, 130), np.uint8)
    model = Model(toy_config(), PositionNetworks())
    embeddings = model.embed(image)
    values = np.arange(len(embeddings.tiles), dtype=np.float32)[:, None, None, None]
    numbered = dataclasses.replace(
        embeddings, values=np.broadcast_to(values, embeddings.values.shape)
    )
    found_rows, found_columns, found_tiles = model.ais_maps(numbered)
    for index, tile in enumerate(numbered.tiles):
        y0, x0, y1, x1 = tile.inner
        inside = (rows >= y0) & (rows < y1) & (columns >= x0) & (columns < x1)
        np.testing.assert_array_equal(found_tiles == index, inside)
        np.testing.assert_array_equal(found_rows[inside], rows[inside] - tile.outer[0])
        np.testing.assert_array_equal(found_columns[inside], columns[inside] - tile.outer[1])


def test_maps_smaller_than_the_networks_size_lose_their_padding(toy_config):
    """Maps of 32 pixels for a square of 64: enlarged, cut at the image, then brought to it."""
    model = Model(toy_config(scale=2.0), PositionNetworks(side=32))
    rows, columns, _ = model.ais_maps(model.embed(np.zeros((20, 10), np.uint8)))
    np.testing.assert_allclose(rows[:, 3], np.arange(20), atol=0.26)  # a border of a half pixel
    np.testing.assert_allclose(columns[4], np.arange(10), atol=0.26)


@pytest.mark.parametrize("shape", [(1, 1), (40, 50), (100, 100), (5, 5, 3)])
def test_a_constant_image_has_no_object(toy_model, shape):
    image = np.full(shape, 200, np.uint8)
    labels = toy_model.segment(image)
    np.testing.assert_array_equal(labels, np.zeros(shape[:2]))
    assert labels.dtype == np.int32
    embeddings = toy_model.embed(image)
    assert embeddings.constant
    np.testing.assert_array_equal(toy_model.segment(embeddings), labels)


@pytest.mark.parametrize("shape", [(1, 64), (64, 1), (1, 200), (2, 2)])
def test_thin_images_are_segmented_and_prompted(toy_model, rng, shape):
    image = rng.integers(0, 256, shape).astype(np.uint8)
    assert toy_model.segment(image).shape == shape
    masks, _, _ = toy_model.prompt(toy_model.embed(image), points=[[0, 0]], point_labels=[1])
    assert masks.shape == (1, *shape)


def test_other_thresholds_replace_the_models_own(toy_model, image):
    parameters = AisParameters(foreground_smoothing=0, distance_smoothing=0, min_size=10_000)
    assert not toy_model.segment(image, parameters=parameters).any()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 2), np.uint8), r"found shape \(4, 4, 2\)"),
        (np.zeros((0, 4), np.uint8), "no pixels"),
        (np.full((4, 4), np.nan, np.float32), "NaN or infinite"),
        (np.zeros((4, 4), complex), "dtype complex128"),
    ],
)
def test_unusable_images_are_refused(toy_model, image, message):
    for use in (toy_model.embed, toy_model.segment, toy_model.embed_tiles):
        with pytest.raises(ImageError, match=message):
            use(image)


@pytest.mark.parametrize(
    ("tiling", "message"),
    [
        ({"tile_shape": (60, 60)}, r"tile_shape \(60, 60\) with halo \(8, 8\) needs 76 pixels, the "
         "model's field of view is 64"),
        ({"tile_shape": (10, 10), "halo": (0, 40)}, "needs 90 pixels"),
        ({"tile_shape": (0, 10)}, "tile_shape must be positive"),
        ({"halo": (32, 32)}, "half the model's field of 64 pixels"),
    ],
)  # fmt: skip
def test_tiles_that_do_not_fit_the_field_are_refused(toy_model, image, tiling, message):
    with pytest.raises(ShapeError, match=message):
        toy_model.segment(image, **tiling)


def test_a_model_without_ais_decoder_says_what_it_can_do(toy_config, toy_networks, image):
    model = Model(toy_config(ais=False), toy_networks)
    with pytest.raises(InputError, match=r"no AIS decoder.*prompt it with points or boxes"):
        model.segment(image)
    masks, _, _ = model.prompt(model.embed(image), points=[[20, 15]], point_labels=[1])
    assert masks.any()


def test_embeddings_of_another_model_or_shape_are_refused(toy_model, image):
    embeddings = toy_model.embed(image)
    foreign = dataclasses.replace(embeddings, weights_digest="sha256:other")
    with pytest.raises(InputError, match="computed by the model sha256:other, this is sha256:toy"):
        toy_model.prompt(foreign, boxes=[0, 0, 9, 9])
    with pytest.raises(InputError, match="embed the image again"):
        toy_model.segment(foreign)
    cut = dataclasses.replace(embeddings, values=embeddings.values[..., :8])
    with pytest.raises(ShapeError, match=r"image_embeddings must have shape \(9, 256, 16, 16\)"):
        toy_model.prompt(cut, boxes=[0, 0, 9, 9])


def test_saved_embeddings_give_the_same_masks_and_labels(toy_model, image, tmp_path):
    embeddings = toy_model.embed(image)
    embeddings.save(tmp_path / "e.safetensors")
    reloaded = ImageEmbeddings.load(tmp_path / "e.safetensors")
    prompts = {"points": [[[20, 15]], [[110, 85]]], "point_labels": [[1], [1]]}
    for first, second in zip(
        toy_model.prompt(embeddings, **prompts), toy_model.prompt(reloaded, **prompts), strict=True
    ):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(toy_model.segment(reloaded), toy_model.segment(image))


def test_points_are_scaled_to_the_resized_image_in_x_and_y(toy_config, toy_networks, discs):
    model = Model(toy_config(scale=None), toy_networks)
    embeddings = model.embed(discs((30, 45), [(10, 10)]))  # becomes 43 x 64
    model.prompt(embeddings, points=[[45, 15]], point_labels=[1], boxes=[0, 0, 45, 30])
    coords, labels, mask_input = toy_networks.calls[0]
    np.testing.assert_allclose(
        coords, [[[64.0, 15 * 43 / 30], [0.0, 0.0], [64.0, 43.0]]], rtol=1e-6
    )
    assert coords.dtype == labels.dtype == np.float32
    np.testing.assert_array_equal(labels, [[1, 2, 3]])
    assert mask_input is None


def test_without_a_box_a_padding_token_follows(toy_model, toy_networks, image):
    toy_model.prompt(toy_model.embed(image), points=[[20, 15], [22, 15]], point_labels=[1, 0])
    coords, labels, _ = toy_networks.calls[0]
    np.testing.assert_array_equal(labels, [[1, 0, -1]])
    np.testing.assert_array_equal(coords[0, 2], [0, 0])


def test_each_object_goes_to_the_tile_around_its_anchor(toy_model, image):
    embeddings = toy_model.embed(image)
    points = np.array([[[column, row]] for row, column in CENTERS], np.float32)
    masks, scores, low_res = toy_model.prompt(
        embeddings, points=points, point_labels=np.ones((4, 1))
    )
    assert masks.dtype == bool
    assert (masks.shape, scores.shape, low_res.shape) == ((4, 120, 128), (4,), (4, 1, 64, 64))
    np.testing.assert_allclose(scores, 0.1)
    np.testing.assert_array_equal(masks.any(axis=0), image > 0)
    assert masks.sum(axis=0).max() == 1
    for mask, (row, column) in zip(masks, CENTERS, strict=True):
        assert mask[row, column]


def test_a_box_is_cut_at_its_tile_and_points_outside_are_left_out(toy_model, toy_networks, image):
    embeddings = toy_model.embed(image)
    toy_model.prompt(
        embeddings, points=[[20, 15], [120, 110]], point_labels=[1, 0], boxes=[0, 0, 100, 40]
    )
    coords, labels, _ = toy_networks.calls[0]
    np.testing.assert_array_equal(labels, [[2, 3]])  # the tile is that around (50, 20)
    np.testing.assert_array_equal(coords, [[[0, 0], [64, 40]]])


def test_negative_points_outside_the_tile_are_left_out(toy_model, toy_networks, image):
    embeddings = toy_model.embed(image)
    toy_model.prompt(embeddings, points=[[20, 15], [120, 110]], point_labels=[1, 0])
    toy_model.prompt(embeddings, points=[[20, 15], [120, 110]], point_labels=[0, 0])
    assert [labels.tolist() for _, labels, _ in toy_networks.calls] == [[[1, -1]], [[0, -1]]]


def test_a_later_point_does_not_move_the_object_to_another_tile(toy_model, toy_networks, image):
    embeddings = toy_model.embed(image)
    toy_model.prompt(embeddings, points=[[20, 15]], point_labels=[1])
    toy_model.prompt(embeddings, points=[[20, 15], [40, 60]], point_labels=[1, 1])
    first, second = (coords[0, 0] for coords, _, _ in toy_networks.calls)
    np.testing.assert_array_equal(first, second)


def test_a_mask_input_reaches_its_own_object(toy_model, toy_networks, image):
    embeddings = toy_model.embed(image)
    mask_input = np.full((2, 1, 64, 64), -100, np.float32)
    mask_input[1] = 100
    masks, _, low_res = toy_model.prompt(
        embeddings, points=[[[20, 15]], [[20, 15]]], point_labels=[[1], [1]], mask_input=mask_input
    )
    assert not masks[0].any()
    tile = embeddings.tiles[0].outer
    assert masks[1].sum() == (tile[2] - tile[0]) * (tile[3] - tile[1])
    again, _, _ = toy_model.prompt(
        embeddings, points=[[20, 15]], point_labels=[1], mask_input=low_res[1]
    )
    np.testing.assert_array_equal(again[0], masks[1])


def test_objects_are_grouped_by_tokens_and_come_back_in_order(toy_model, toy_networks, image):
    embeddings = toy_model.embed(image)
    points = np.zeros((90, 2, 2), np.float32)
    points[:] = [[20, 15], [21, 16]]
    points[1::3] = [[90, 40], [0, 0]]
    labels = np.ones((90, 2))
    labels[1::3, 1] = -1
    told = []
    masks, scores, _ = toy_model.prompt(
        embeddings, points=points, point_labels=labels, progress=lambda *args: told.append(args)
    )
    assert all(len(call[0]) <= objects_per_call(16, 3) for call in toy_networks.calls)
    assert sum(len(call[0]) for call in toy_networks.calls) == 90
    assert told[-1] == ("prompt", 90, 90)
    np.testing.assert_allclose(scores, np.where(np.arange(90) % 3 == 1, 0.1, 0.2), rtol=1e-6)
    assert masks[1::3, 40, 90].all()
    assert not masks[1::3, 15, 20].any()
    assert masks[0::3, 15, 20].all()
    assert masks[2::3, 15, 20].all()


def test_one_object_alone_and_among_many_gets_the_same_mask(toy_model, image):
    embeddings = toy_model.embed(image)
    points = [[[column, row]] for row, column in CENTERS]
    together, _, _ = toy_model.prompt(embeddings, points=points, point_labels=[[1]] * 4)
    for mask, point in zip(together, points, strict=True):
        alone, _, _ = toy_model.prompt(embeddings, points=point, point_labels=[1])
        np.testing.assert_array_equal(alone[0], mask)


def test_no_object_gives_no_mask(toy_model, image):
    masks, scores, low_res = toy_model.prompt(toy_model.embed(image), boxes=np.zeros((0, 4)))
    assert (masks.shape, scores.shape, low_res.shape) == ((0, 120, 128), (0,), (0, 1, 64, 64))


@pytest.mark.parametrize("option", ["tile_shape", "halo"])
def test_tiles_cannot_be_chosen_for_embeddings_that_have_theirs(toy_model, discs, option):
    embeddings = toy_model.embed(discs((64, 64), [(20, 20)]))
    with pytest.raises(
        InputError, match=f"{option}: found .* embeddings have their tiles and scale already"
    ):
        toy_model.segment(embeddings, **{option: (20, 20)})


def test_a_halo_without_tiles_is_refused(toy_config, toy_networks, discs):
    model = Model(toy_config(scale=None), toy_networks)
    image = discs((100, 80), [(20, 20)])
    with pytest.raises(InputError, match=r"halo: found .* sees the whole image at once"):
        model.embed(image, halo=(8, 8))
    with pytest.raises(InputError, match="halo: found"):
        model.segment(image, mode="amg", halo=(8, 8))
    assert len(model.embed(image, tile_shape=(40, 40), halo=(8, 8)).tiles) > 1
