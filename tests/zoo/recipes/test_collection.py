"""The images of a recipe: checked in a folder, or fetched from a server on this computer."""

import functools
import http.server
import threading

import pytest
from tiny_recipe import RECIPE, write_files_csv

from samzoo.runtime.errors import FormatError, InputError, NotFoundError
from samzoo.runtime.labels.lists import entries
from samzoo.zoo.downloads import cache
from samzoo.zoo.recipes.collection import check_sets, fetched, in_folder, write_training_list
from samzoo.zoo.recipes.file_table import read_file_table
from samzoo.zoo.recipes.recipe import read_recipe


def silent(*_):
    pass


@pytest.fixture
def place(tmp_path):
    for kind in ("images", "labels"):
        (tmp_path / "data/cells" / kind).mkdir(parents=True)
        for name in "abc":
            (tmp_path / "data/cells" / kind / f"{name}.tif").write_text(f"{kind} {name}")
    return tmp_path


@pytest.fixture
def listed(place):
    return read_file_table(write_files_csv(place / "data", "cells", place / "files.csv"))


def recipe(place, url=""):
    text = RECIPE.format(digest='"sha256:0"', name='"cells"', url=f'"{url}"')
    (place / "recipe.toml").write_text(text)
    return read_recipe(place / "recipe.toml")


def test_a_folder_with_all_files_is_taken(place, listed):
    assert in_folder(listed, place / "data", report=silent) == place / "data"
    write_training_list(listed, place / "data", place / "list.csv")
    found = entries(place / "list.csv", None)
    assert [(e.part, e.weight) for e in found] == [("train", 2), ("val", 2), ("test", 2)]
    assert found[0].image == place / "data/cells/images/a.tif"


def test_files_that_differ_or_are_gone_are_counted_and_named(place, listed):
    (place / "data/cells/images/a.tif").write_text("images x")
    (place / "data/cells/labels/c.tif").unlink()
    with pytest.raises(InputError, match=r"2 of 6 files .*\n.*a.tif: differs .*\n.*c.tif: no such"):
        in_folder(listed, place / "data", report=silent)
    with pytest.raises(InputError, match=r"6 of 6 files[^$]*and 1 more$"):
        in_folder(listed, place, report=silent)
    with pytest.raises(NotFoundError, match="gone: no such folder"):
        in_folder(listed, place / "gone", report=silent)


def test_each_set_and_each_part_is_needed(place, listed):
    check_sets(recipe(place), listed, where="files.csv")
    with pytest.raises(FormatError, match="no image is in 'test'"):
        check_sets(recipe(place), listed[:2], where="files.csv")
    text = (place / "recipe.toml").read_text().replace('"cells"\nlicense', '"nuclei"\nlicense')
    (place / "recipe.toml").write_text(text)
    with pytest.raises(FormatError, match="has images of cells, the recipe describes nuclei"):
        check_sets(read_recipe(place / "recipe.toml"), listed, where="files.csv")


def test_what_is_published_nowhere_is_told_with_its_source(place, listed):
    told = r"cells: its files are published nowhere.*made of https://example.org.*--data FOLDER"
    with pytest.raises(InputError, match=told):
        fetched(recipe(place), listed, report=silent)


@pytest.fixture
def server(place, monkeypatch):
    monkeypatch.setenv("SAMZOO_CACHE", str(place / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    handler = functools.partial(Handler, directory=str(place / "data"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_address[1]}", asked
        found.shutdown()


def test_files_are_fetched_once_and_checked(place, listed, server):
    url, asked = server
    folder = fetched(recipe(place, url), listed, report=silent)
    assert folder == cache.cache_folder() / "images"
    assert (folder / "cells/labels/b.tif").read_text() == "labels b"
    assert len(asked) == 6
    assert fetched(recipe(place, url), listed, report=silent) == folder
    assert len(asked) == 6
    (folder / "cells/labels/b.tif").write_text("damaged")
    fetched(recipe(place, url), listed, report=silent)
    assert (folder / "cells/labels/b.tif").read_text() == "labels b"
    assert len(asked) == 7


def test_another_file_on_the_server_is_refused(place, listed, server):
    (place / "data/cells/images/b.tif").write_text("images x")
    with pytest.raises(FormatError, match=r"b\.tif"):
        fetched(recipe(place, server[0]), listed, report=silent)
    assert not (cache.cache_folder() / "images/cells/images/b.tif").exists()
