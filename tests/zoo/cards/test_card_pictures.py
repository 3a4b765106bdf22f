"""Pictures of a card: small, named by their content, and without what else the file says."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from samzoo.runtime.errors import NotFoundError
from samzoo.runtime.formats.manifest import FileEntry, Manifest
from samzoo.zoo.cards.card_file import PictureEntry
from samzoo.zoo.cards.card_pictures import (
    COVER_SIDE,
    OWN,
    SIDE,
    named_pictures,
    png_of,
    read_picture,
    with_cover,
    with_pictures,
)


@pytest.fixture
def manifest(toy_config):
    entry = FileEntry(path="pictures/old.png", size=1, sha256="0" * 64)
    return Manifest(name="toy", model=toy_config(), files=(entry,), card={"cover": "cover.png"})


def entry(file, shows="use"):
    return PictureEntry(file=file, shows=shows, caption="Discs", attribution="Ada, CC0")


def test_pictures_are_reduced_and_named_by_content(manifest, tmp_path):
    metadata = Image.Exif()
    metadata[0x010E] = "patient"
    Image.new("RGB", (600, 300), "red").save(tmp_path / "a.jpg", exif=metadata)
    entries = [entry("a.jpg"), entry("pictures/old.png", "not")]
    found, added = with_pictures(manifest, entries, beside=tmp_path)
    (path,) = added
    assert OWN.fullmatch(path)
    assert [each.path for each in found.pictures] == [path, "pictures/old.png"]
    (tmp_path / "b.png").write_bytes(added[path])
    with Image.open(tmp_path / "b.png") as picture:
        assert (picture.size, picture.info) == ((SIDE, SIDE // 2), {})
    assert named_pictures(found) == {path, "pictures/old.png", "cover.png"}


def test_small_pictures_keep_their_pixels_and_16_bits_are_stretched(tmp_path, rng):
    pixels = rng.integers(0, 40, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(np.asarray(read_picture(tmp_path / "a.png", SIDE)), pixels)
    deep = np.linspace(1000, 1100, 600).reshape(20, 30).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", deep)
    shown = np.asarray(read_picture(tmp_path / "a.tif", SIDE))
    assert (shown.shape, int(shown.min()), int(shown.max())) == ((20, 30, 3), 0, 255)
    assert png_of(read_picture(tmp_path / "a.tif", SIDE)).startswith(b"\x89PNG")


def test_a_cover_takes_the_place_of_the_older_one(manifest, tmp_path):
    Image.new("L", (3000, 1000), 7).save(tmp_path / "a.png")
    found, added = with_cover(manifest, tmp_path / "a.png")
    (path,) = added
    assert found.card["cover"] == path
    (tmp_path / "b.png").write_bytes(added[path])
    with Image.open(tmp_path / "b.png") as picture:
        assert picture.size[0] == COVER_SIDE


def test_a_picture_that_is_nowhere_is_told(manifest, tmp_path):
    with pytest.raises(NotFoundError, match="searched for beside the card file"):
        with_pictures(manifest, [entry("b.png")], beside=tmp_path)
