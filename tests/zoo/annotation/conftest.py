"""An image of four discs in a folder, and a session on it with the toy model."""

import numpy as np
import pytest
import tifffile

from samzoo.runtime import load
from samzoo.zoo.annotation.annotated_image import AnnotatedImage, Place
from samzoo.zoo.annotation.collection import Collection
from samzoo.zoo.annotation.session import AnnotationSession

CENTERS = [(15, 20), (40, 90), (100, 30), (85, 110)]


@pytest.fixture
def images(tmp_path, discs):
    """A folder with two images."""
    folder = tmp_path / "images"
    folder.mkdir()
    tifffile.imwrite(folder / "a.tif", discs((120, 128), CENTERS))
    tifffile.imwrite(folder / "b.tif", discs((60, 70), [(20, 20), (40, 50)]))
    return folder


@pytest.fixture
def document(images, tmp_path):
    """Opens the first image's labels, as often as asked; closes them at the end."""
    opened: list[AnnotatedImage] = []

    def open_again():
        if opened:
            opened[-1].close()
        path = images / "a.tif"
        place = Place(path, tmp_path / "labels" / "a.tif", tmp_path / "state" / "a")
        opened.append(AnnotatedImage(place, lambda: np.asarray(tifffile.imread(path))))
        return opened[-1]

    yield open_again
    for each in opened:
        each.close()


@pytest.fixture
def session(images, toy_package):
    """Starts a session on the folder, as often as asked; closes all at the end."""
    opened: list[AnnotationSession] = []

    def start(named=images, **options):
        for each in opened:
            each.close()
        opened.append(AnnotationSession(Collection(named), load(toy_package), **options))
        return opened[-1]

    yield start
    for each in opened:
        each.close()
