"""Images and labels find each other by the names that the field's tools give them."""

import numpy as np
import pytest

from samzoo.runtime.errors import ImageError, NotFoundError
from samzoo.runtime.labels.pairs import match_pairs


@pytest.fixture
def folders(tmp_path):
    images, labels = tmp_path / "images", tmp_path / "labels"
    for folder in (images, labels):
        folder.mkdir()
    for name in ("one", "two"):
        (images / f"{name}.png").touch()
        (labels / f"{name}.tif").touch()
    return images, labels


def touched(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def names(pairs):
    return [(image.name, label.name) for image, label in pairs]


def test_pairs_match_by_name_without_suffix(folders):
    images, labels = folders
    assert match_pairs(images, labels) == [
        (images / "one.png", labels / "one.tif"),
        (images / "two.png", labels / "two.tif"),
    ]


@pytest.mark.parametrize(
    ("image", "label"),
    [("a.ome.tif", "a.tif"), ("a.tif", "a.ome.tiff"), ("a.OME.TIF", "a.png"), ("a.jpg", "a.npy"),
     ("a.png", "a_mask.png"), ("a.png", "a_masks.tif"), ("a.tif", "a_cp_masks.png"),
     ("a.png", "a_label.tif"), ("a.png", "a_labels.tif"), ("a.png", "a-labels.png"),
     ("a.png", "a_seg.npy"), ("a_img.png", "a_masks.png"), ("a_raw.tif", "a_gt.tif"),
     ("a.ome.tif", "a_masks.ome.tif"), ("a.b.png", "a.b_masks.png"), ("a_mask.png", "a_mask.tif"),
     ("a_img.png", "a_img_masks.png"), ("a.png", "a_Masks.PNG"),
     ("\u00e4.tif", "a\u0308.tif"), ("a\u0308.tif", "\u00e4_masks.tif"), ("A.tif", "a.png"),
     ("Cell_01.tif", "cell_01_Masks.png"), ("a.ome.tif", "a.ome_cp_masks.tif")],
)  # fmt: skip
def test_the_names_of_the_field_match_in_two_folders(tmp_path, image, label):
    pairs = match_pairs(touched(tmp_path / "i", image), touched(tmp_path / "l", label))
    assert names(pairs) == [(image, label)]


@pytest.mark.parametrize(
    "files",
    [("a.tif", "a_masks.tif"), ("a.png", "a_cp_masks.png"), ("a_img.png", "a_masks.png"),
     ("a.tif", "a_seg.npy"), ("a.jpg", "a.png"), ("a.tif", "a.npy"), ("a.ome.tif", "a_label.png")],
)  # fmt: skip
def test_the_names_of_the_field_match_in_one_folder(tmp_path, files):
    assert names(match_pairs(touched(tmp_path, *files), tmp_path)) == [files]


def test_a_folder_of_cellpose_is_read_past_its_other_outputs(tmp_path):
    touched(tmp_path, "a.tif", "a_cp_masks.tif", "a_seg.npy", "a_flows.tif", "a_cp_output.png")
    assert names(match_pairs(tmp_path, tmp_path)) == [("a.tif", "a_cp_masks.tif")]


def test_one_folder_without_a_mark_is_refused(tmp_path):
    with pytest.raises(ImageError, match=r"no name tells them apart; let the labels end in _masks"):
        match_pairs(touched(tmp_path, "a.tif", "a.png"), tmp_path)


def test_two_single_files_match_whatever_their_names(folders):
    images, labels = folders
    pair = (images / "one.png", labels / "two.tif")
    assert match_pairs(*pair) == [pair]
    with pytest.raises(ImageError, match="given both as image and as labels"):
        match_pairs(pair[0], pair[0])


def test_all_files_without_partner_are_listed_on_both_sides(folders):
    images, labels = folders
    touched(images, "three.png", "four.png")
    touched(labels, "zzz.tif")
    with pytest.raises(ImageError) as caught:
        match_pairs(images, labels)
    assert "2 of 4 images in" in str(caught.value)
    assert "four.png, three.png; 1 of 3 label images" in str(caught.value)
    assert "zzz.tif. Give both the same name" in str(caught.value)


def test_ambiguous_pairs_are_refused_with_both_names(folders):
    images, labels = folders
    touched(images, "one.tif")
    with pytest.raises(ImageError, match=r"one\.tif: belongs to several images .*one\.png, one\.t"):
        match_pairs(images, labels)
    (images / "one.tif").unlink()
    touched(labels, "two_masks.png")
    with pytest.raises(ImageError, match=r"two\.png: several label .*two\.tif, two_masks\.png"):
        match_pairs(images, labels)
    with pytest.raises(ImageError, match="give two folders or two files"):
        match_pairs(images / "one.png", labels)


def test_missing_and_empty_folders_are_named(folders, tmp_path):
    with pytest.raises(NotFoundError, match="nowhere: no such file or folder"):
        match_pairs(folders[0], tmp_path / "nowhere")
    with pytest.raises(ImageError, match=r"empty: holds no label image; looked for .*\.npy"):
        match_pairs(folders[0], touched(tmp_path / "empty"))


def test_hidden_files_of_macos_are_no_labels(folders):
    images, labels = folders
    np.save(labels / "._one.npy", np.zeros(3))
    assert len(match_pairs(images, labels)) == 2


def test_a_name_in_its_own_case_goes_before_one_in_another(tmp_path):
    images = touched(tmp_path / "i", "A.tif", "b.tif")
    labels = touched(tmp_path / "l", "A.png", "b.png")
    touched(images, "a.tif")
    if len(list(images.iterdir())) == 2:
        pytest.skip("this file system does not tell upper from lower case")
    touched(labels, "a.png")
    assert names(match_pairs(images, labels)) == [
        ("A.tif", "A.png"), ("a.tif", "a.png"), ("b.tif", "b.png"),
    ]  # fmt: skip


def test_files_without_partner_are_told_if_somebody_listens(folders):
    images, labels = folders
    touched(images, "three.png")
    touched(labels, "four.tif")
    lonely: list[str] = []
    assert names(match_pairs(images, labels, lonely=lonely)) == [
        ("one.png", "one.tif"), ("two.png", "two.tif"),
    ]  # fmt: skip
    assert lonely == [
        f"{images / 'three.png'}: no label image in {labels} has its name",
        f"{labels / 'four.tif'}: no image in {images} has its name",
    ]


def test_no_pair_at_all_is_an_error_also_if_somebody_listens(tmp_path):
    images, labels = touched(tmp_path / "i", "a.tif"), touched(tmp_path / "l", "b.tif")
    with pytest.raises(ImageError, match="1 of 1 images"):
        match_pairs(images, labels, lonely=[])


def test_a_folder_of_outlines_says_how_to_make_label_images(folders, tmp_path):
    with pytest.raises(ImageError, match=r"a\.geojson is outlines in GeoJSON.*QuPath"):
        match_pairs(folders[0], touched(tmp_path / "q", "a.geojson", "b.geojson"))
