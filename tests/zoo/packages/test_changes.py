"""A package whose card changes: whole at every moment, and nothing of it vouches for damage."""

import dataclasses
import os

import pytest
from PIL import Image

from samzoo.runtime.errors import FormatError
from samzoo.runtime.formats.manifest import CardPicture, Manifest
from samzoo.zoo.cards.card_pictures import own_path, png_of
from samzoo.zoo.packages import changes
from samzoo.zoo.packages.changes import card_is_current, left_pictures, update_package
from samzoo.zoo.packages.verification import Report, _check_files, _check_names

ONE, TWO = (png_of(Image.new("RGB", (4, 4), colour)) for colour in ("red", "blue"))


def with_picture(manifest, data, *, cover=None):
    path = own_path("use", data)
    picture = CardPicture(path=path, shows="use", caption="a", attribution="b")
    card = {**manifest.card, **({"cover": cover} if cover else {})}
    return dataclasses.replace(manifest, pictures=(picture,), card=card), {path: data}


def problems(folder):
    report = Report()
    manifest = Manifest.read(folder)
    _check_names(folder, manifest, report)
    _check_files(folder, manifest, report)
    return report.problems


@pytest.fixture
def package(toy_package):
    (toy_package / "cover.png").write_bytes(ONE)
    manifest = dataclasses.replace(Manifest.read(toy_package), card={"cover": "cover.png"})
    manifest = update_package(toy_package, manifest, added={"cover.png": ONE})
    changed, added = with_picture(manifest, ONE)
    update_package(toy_package, changed, added=added)
    assert problems(toy_package) == []
    return toy_package


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_older_pictures_leave_with_the_manifest_that_named_them(package):
    changed, added = with_picture(Manifest.read(package), TWO)
    update_package(package, changed, added=added)
    assert [name for name in names(package) if "use" in name] == [own_path("use", TWO)]
    assert problems(package) == []


class Killed(BaseException):
    pass


def test_a_change_that_is_killed_anywhere_is_told_and_healed_by_the_next(package, monkeypatch):
    """Each replacement and each deletion is a moment; before each of them the process dies."""
    left, seen = [0], set()

    def dying(function):
        def act(*arguments, **words):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return function(*arguments, **words)

        return act

    before = Manifest.read(package)
    cover = own_path("cover", TWO)
    changed, added = with_picture(before, TWO, cover=cover)
    for moment in range(20):
        left[0] = moment
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", dying(os.replace))
            patch.setattr(changes, "_delete", dying(changes._delete))
            try:
                update_package(package, changed, added={**added, cover: TWO})
                break
            except Killed:
                pass
        told = problems(package)
        seen.add(tuple(told))
        assert all(f"samzoo card {package}" in problem for problem in told)
        assert Manifest.read(package).card["cover"] in ("cover.png", cover)
        manifest = Manifest.read(package)
        update_package(package, manifest)
        assert problems(package) == []
        back, old = with_picture(before, ONE)
        update_package(package, back, added={**old, "cover.png": ONE})
    assert moment >= 5
    assert len(seen) >= 4
    assert [name for name in names(package) if name.endswith("png")] == sorted([cover, *added])


def test_a_card_that_was_changed_by_hand_is_seen(package):
    assert card_is_current(package, Manifest.read(package))
    (package / "README.md").write_text("# mine")
    assert not card_is_current(package, Manifest.read(package))
    (problem,) = problems(package)
    assert "was changed by hand" in problem
    assert "--template > card.toml, edit that file" in problem


def test_no_file_but_a_picture_ever_leaves_and_no_link_is_followed(package, tmp_path):
    manifest = Manifest.read(package)
    graph = next(entry.path for entry in manifest.files if entry.role == "encoder")
    hostile = dataclasses.replace(manifest, card={"cover": graph})
    hostile = update_package(package, hostile)
    update_package(package, dataclasses.replace(hostile, card={}))
    assert (package / graph).is_file()
    other = tmp_path / "other"
    (package / "pictures").rename(other)
    (package / "pictures").symlink_to(other)
    with pytest.raises(FormatError, match="pictures: is a link"):
        update_package(package, hostile)
    assert len(list(other.iterdir())) == 1


def test_pictures_that_are_listed_are_not_left_over(package):
    (package / "pictures" / "mine.png").write_bytes(TWO)
    (package / own_path("not", TWO)).write_bytes(TWO)
    assert left_pictures(package, Manifest.read(package)) == [own_path("not", TWO)]
