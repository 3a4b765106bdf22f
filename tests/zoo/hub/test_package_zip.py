"""Packages in a zip, from strangers: nothing is kept that the manifest does not say."""

import zipfile

import pytest
import tiny

from samzoo.runtime.errors import FormatError
from samzoo.runtime.formats.files import sha256_of
from samzoo.runtime.formats.manifest import FileEntry, Manifest
from samzoo.zoo.hub.package_zip import unpack_package


def packed(folder, entries, changes):
    """A package of one file, packed with other content."""
    package = folder / "package"
    package.mkdir()
    (package / "a.bin").write_bytes(b"weights")
    entry = FileEntry(path="a.bin", size=7, sha256=sha256_of(package / "a.bin"))
    Manifest(name="cells", model=tiny.make_config(), files=(entry, *entries)).write(package)
    files = {path.name: path.read_bytes() for path in package.iterdir()} | changes
    with zipfile.ZipFile(folder / "p.zip", "w") as archive:
        for name, data in files.items():
            if data is not None:
                archive.writestr(name, data)
    return folder / "p.zip"


def test_a_package_is_unpacked_whole(tmp_path):
    manifest = unpack_package(packed(tmp_path, [], {}), tmp_path / "out", where="p.zip")
    assert Manifest.read(tmp_path / "out") == manifest
    assert (tmp_path / "out" / "a.bin").read_bytes() == b"weights"


@pytest.mark.parametrize(
    ("entries", "changes", "message"),
    [
        ([], {"samzoo.json": None}, "has no samzoo.json"),
        ([], {"samzoo.json": b"{}"}, "format"),
        ([], {"a.bin": b"wEights"}, "a.bin: found sha256"),
        ([], {"a.bin": None}, "a.bin: is missing"),
        ([FileEntry(path="A.BIN", size=1, sha256="0" * 64)], {}, "the same name"),
        ([FileEntry(path="nul", size=1, sha256="0" * 64)], {}, "Windows"),
    ],
)
def test_a_damaged_or_unsafe_package_is_refused(tmp_path, entries, changes, message):
    archive = packed(tmp_path, entries, changes)
    with pytest.raises(FormatError, match=message):
        unpack_package(archive, tmp_path / "out", where="p.zip")
    assert not (tmp_path / "out" / "samzoo.json").exists()
