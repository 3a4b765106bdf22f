"""Outputs beside an image: the suffix fits, nothing is overwritten, no two are one file."""

import pytest

from samzoo.runtime.errors import InputError, OutputExistsError
from samzoo.runtime.images.output_checks import (
    check_labels_output,
    check_overlay_output,
    check_table_output,
)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "cells.tif"
    path.write_bytes(b"pixels")
    return path


def check(kind, path, image, *, force=False):
    """Check one of the three outputs; the labels are ``labels.tif``."""
    if kind == "labels":
        check_labels_output(path, image, force=force)
    else:
        rule = {"overlay": check_overlay_output, "table": check_table_output}[kind]
        rule(path, image, image.with_name("labels.tif"), force=force)


GOOD = {"labels": "labels.tif", "overlay": "overlay.png", "table": "table.csv"}
WRONG = {"labels": "labels.jpg", "overlay": "overlay.tif", "table": "table.xlsx"}


@pytest.mark.parametrize("kind", GOOD)
def test_a_new_file_with_the_right_suffix_is_allowed(kind, image):
    check(kind, image.with_name(GOOD[kind]), image)
    check(kind, image.with_name(GOOD[kind].upper()), image)


@pytest.mark.parametrize("kind", WRONG)
def test_another_suffix_is_refused_with_the_right_one(kind, image):
    with pytest.raises(InputError, match=rf"{WRONG[kind]}: \w+ are written as \.") as found:
        check(kind, image.with_name(WRONG[kind]), image)
    assert f".{GOOD[kind].partition('.')[2]}" in str(found.value)


@pytest.mark.parametrize("kind", GOOD)
def test_an_existing_file_needs_force(kind, image):
    path = image.with_name(GOOD[kind])
    path.write_bytes(b"older")
    with pytest.raises(OutputExistsError):
        check(kind, path, image)
    check(kind, path, image, force=True)


def test_the_image_is_not_overwritten_even_with_force(image):
    with pytest.raises(OutputExistsError):
        check("labels", image, image, force=True)


def test_an_overlay_does_not_replace_the_labels(image):
    labels = image.with_name("labels.png")
    with pytest.raises(InputError, match="is the output for the labels too"):
        check_overlay_output(labels, image, labels, force=False)
