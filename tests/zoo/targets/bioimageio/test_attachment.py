"""samzoo's own package inside a zip: its graphs, byte by byte, and nothing of other targets."""

import zipfile

import pytest

from samzoo.runtime.formats.manifest import Manifest, read_entry
from samzoo.zoo.hub.bioimageio_rdf import PACKAGE_ENDING as READ_ENDING
from samzoo.zoo.hub.package_zip import unpack_package
from samzoo.zoo.targets.bioimageio.attachment import PACKAGE_ENDING, attach

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]


def test_what_is_written_is_what_a_pull_looks_for():
    assert PACKAGE_ENDING == READ_ENDING


def test_graphs_and_test_are_those_of_the_package(package, zips, tmp_path):
    original = Manifest.read(package)
    for path in zips.values():
        with zipfile.ZipFile(path) as archive:
            archive.extract("tiny-cells.samzoo.zip", tmp_path)
        target = tmp_path / path.stem
        manifest = unpack_package(tmp_path / "tiny-cells.samzoo.zip", target, where="x")
        for entry in manifest.files:
            read_entry(target, entry)
        found = {e.path: (e.sha256, e.role) for e in manifest.files if e.role}
        assert found == {e.path: (e.sha256, e.role) for e in original.files if e.role}
        assert not [e.path for e in manifest.files if e.path.startswith("bioimageio")]
        assert manifest.model == original.model


def test_equal_packages_give_equal_bytes(package, tmp_path):
    manifest = Manifest.read(package)
    paths = [attach(tmp_path / name, package, manifest) for name in ("a", "b") if
             (tmp_path / name).mkdir() is None]  # fmt: skip
    assert paths[0].read_bytes() == paths[1].read_bytes()
