"""The documentation in a zip says how the image must come."""

import zipfile

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize(
    ("purpose", "sentence"),
    [
        ("ais", "42 x 42 pixels at once"),
        ("ais", "predicted in blocks"),
        ("ais", "stretched over the whole image"),
        ("ais", "1.5 model pixels for each image pixel"),
        ("prompts", "crop the image around the object"),
        ("prompts", "Give 8 points"),
        ("prompts", "samzoo pull bioimageio:FILE.zip"),
    ],
)
def test_what_a_user_must_know_is_said(zips, purpose, sentence):
    with zipfile.ZipFile(zips[purpose]) as archive:
        text = archive.read("README.md").decode()
    assert sentence in text
