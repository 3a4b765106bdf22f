"""Names and folders to packages."""

from importlib import resources
from pathlib import Path

import pytest

from samzoo.runtime.errors import NotFoundError
from samzoo.runtime.formats.manifest import MANIFEST_FILE, Manifest
from samzoo.zoo import DEFAULT_MODEL, load, resolve, shipped


def test_the_default_model_ships_and_is_found_by_its_name():
    (listed,) = [each for each in shipped() if each.name == DEFAULT_MODEL]
    assert resolve(DEFAULT_MODEL) == listed.folder
    # A development install links to the files; packages hold plain files only.
    link = Path(str(resources.files("samzoo.model_cards"))) / DEFAULT_MODEL / MANIFEST_FILE
    assert listed.folder == link.resolve().parent
    assert listed.manifest == Manifest.read(listed.folder)
    assert listed.manifest.name == DEFAULT_MODEL
    assert load().config == listed.manifest.model


def test_every_shipped_package_is_complete():
    from samzoo.runtime.formats.manifest import read_entry

    for listed in shipped():
        for entry in listed.manifest.files:
            assert len(read_entry(listed.folder, entry)) == entry.size


def test_a_folder_is_resolved_as_it_is(toy_package, monkeypatch):
    assert resolve(str(toy_package)) == resolve(toy_package) == toy_package
    monkeypatch.chdir(toy_package.parent)
    assert resolve(toy_package.name) == Path(toy_package.name)
    assert load(toy_package.name).config.weights_digest == "sha256:toy"


@pytest.mark.parametrize("name", ["nuclei", "../nuclei-vit-t", "", "a/b", "\x1b[31m"])
def test_an_unknown_name_lists_the_known_ones(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        NotFoundError, match=f"neither a package folder .*{DEFAULT_MODEL}"
    ) as caught:
        resolve(name)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("file", ["config.json", "adapter_config.json"])
def test_a_model_or_adapter_is_pointed_to_export(tmp_path, file):
    (tmp_path / file).write_text("{}")
    with pytest.raises(NotFoundError, match="it is a model or adapter, run: samzoo export"):
        resolve(str(tmp_path))
