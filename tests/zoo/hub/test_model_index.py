"""A lab's own zoo: an index on a web server or a disk, whose hashes hold."""

import json
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from samzoo.runtime.errors import FormatError, InputError, NotFoundError, StorageError
from samzoo.runtime.formats.manifest import Manifest
from samzoo.zoo import resolve
from samzoo.zoo.cli import main
from samzoo.zoo.downloads import cache
from samzoo.zoo.downloads import documents as web_document
from samzoo.zoo.hub.model_index import (
    find_entry,
    locations,
    pull_from_index,
    read_index,
    write_index,
)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def settings(monkeypatch, tmp_path):
    monkeypatch.setenv("SAMZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(web_document, "PAUSE", 0.001)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def zoo(tmp_path, toy_package):
    """A folder with a package and its index."""
    folder = tmp_path / "zoo"
    shutil.copytree(toy_package, folder / "toy")
    write_index([folder / "toy"], folder / "index.json")
    return folder


@pytest.fixture
def server(zoo):
    handler = partial(Quiet, directory=str(zoo))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()


def name_of(zoo):
    return Manifest.read(zoo / "toy").name


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("how", ["web", "path", "file URL"])
def test_a_model_is_listed_and_pulled_by_its_name(zoo, server, how, monkeypatch, capsys):
    place = {
        "web": f"{server}/index.json",
        "path": str(zoo / "index.json"),
        "file URL": (zoo / "index.json").as_uri(),
    }[how]
    monkeypatch.setenv("SAMZOO_INDEX", place)
    name = name_of(zoo)
    assert main(["list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["models"]}
    assert rows[name]["from"].endswith("index.json")
    assert "nuclei-vit-t" in rows
    folder = resolve(name)
    assert contents(folder) == contents(zoo / "toy")
    assert main(["list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["models"]}
    assert rows[name]["from"] == "cache"
    monkeypatch.delenv("SAMZOO_INDEX")
    assert resolve(name) == folder  # offline


@pytest.mark.parametrize("how", ["web", "path"])
def test_show_reads_what_describes_a_model_and_keeps_nothing(
    zoo, server, how, monkeypatch, capsys, tmp_path
):
    """Weights and graphs are gone here, so a download of them would fail."""
    monkeypatch.setenv(
        "SAMZOO_INDEX", f"{server}/index.json" if how == "web" else str(zoo / "index.json")
    )
    name, card = name_of(zoo), zoo / "toy" / "README.md"
    size = sum(entry.size for entry in Manifest.read(zoo / "toy").files)
    for path in (zoo / "toy" / "onnx").iterdir():
        path.unlink()
    assert main(["show", name, "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found["folder"], found["download_bytes"]) == (None, size)
    assert found["manifest"]["name"] == name
    assert f"samzoo pull {name} downloads {size / 1e6:.1f} MB" in err
    assert main(["show", name]) == 0
    assert capsys.readouterr().out == (card.read_text() if card.is_file() else f"{name}: no card\n")
    assert not (tmp_path / "cache").exists()


def test_semicolons_separate_indexes_so_that_paths_may_have_spaces(zoo, monkeypatch, tmp_path):
    place = tmp_path / "our zoo" / "index.json"
    place.parent.mkdir()
    shutil.copytree(zoo / "toy", place.parent / "toy")
    write_index([place.parent / "toy"], place)
    monkeypatch.setenv("SAMZOO_INDEX", f" {place} ;; https://lab.example/index.json")
    assert locations() == [place.as_uri(), "https://lab.example/index.json"]
    monkeypatch.setenv("SAMZOO_INDEX", str(place))
    assert find_entry(name_of(zoo)) is not None


def test_urls_separated_by_a_space_are_refused_with_the_separator(monkeypatch):
    monkeypatch.setenv("SAMZOO_INDEX", "https://a.example/index.json https://b.example/index.json")
    with pytest.raises(InputError, match="a URL has no spaces; separate several by ';'"):
        locations()


def test_a_mistyped_model_is_guessed_from_the_indexes(zoo, monkeypatch):
    monkeypatch.setenv("SAMZOO_INDEX", str(zoo / "index.json"))
    name = name_of(zoo)
    with pytest.raises(NotFoundError, match=f"did you mean {name!r}?"):
        resolve(f"{name}s")
    with pytest.raises(NotFoundError, match=r"did you mean 'nuclei-vit-t'\?"):
        resolve("nuclei-vitt")


def test_a_model_that_changed_after_the_index_is_refused(zoo, monkeypatch):
    manifest = zoo / "toy" / "samzoo.json"
    manifest.write_bytes(manifest.read_bytes() + b"\n")
    monkeypatch.setenv("SAMZOO_INDEX", str(zoo / "index.json"))
    with pytest.raises(FormatError, match="the model was changed after the index was made"):
        pull_from_index(name_of(zoo))
    assert cache.cached() == []


def changed(zoo, change):
    path = zoo / "index.json"
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_another_format_is_refused(zoo):
    for change, message in (
        (lambda v: v["format"].update(version=9), "this samzoo reads up to 1; "),
        (lambda v: v["format"].update(name="x"), "expected 'samzoo-index'"),
    ):
        changed(zoo, change)
        with pytest.raises(FormatError, match=message):
            read_index((zoo / "index.json").as_uri())


WRONG = {
    "no object": (lambda v: v["models"].append([1]), "expected an object, found [1]"),
    "a text for a score": (
        lambda v: v["models"].append(
            {
                **v["models"][0],
                "name": "b",
                "summary": {**v["models"][0]["summary"], "scores": {"ais": "good"}},
            }
        ),
        "scores: 'ais': expected a number, found 'good'",
    ),
    "a bad name": (lambda v: v["models"][0].update(name="../x"), "allowed are lower-case"),
    "twice": (lambda v: v["models"].append(v["models"][0]), "'toy' is listed twice"),
    "another file": (lambda v: v["models"][0].update(manifest="x/other.json"), "must end with"),
    "an unknown field": (lambda v: v["models"][0].update(more=1), "more"),
    "no hash": (lambda v: v["models"][0].pop("sha256"), "sha256"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_entry_is_told_and_skipped(zoo, monkeypatch, capsys, change, message):
    def change_beside_another(value):
        other = {**value["models"][0], "name": "other"}
        change(value)
        value["models"].append(other)

    changed(zoo, change_beside_another)
    index = read_index((zoo / "index.json").as_uri())
    assert "other" in [entry.name for entry in index.models]
    (told,) = index.bad.values()
    assert told.startswith(f"file://{zoo}/index.json: models")
    assert message in told
    monkeypatch.setenv("SAMZOO_INDEX", str(zoo / "index.json"))
    assert main(["list"]) == 0
    captured = capsys.readouterr()
    assert "other" in captured.out
    assert message in captured.err


def test_a_model_whose_entry_is_wrong_is_refused_by_name(zoo, monkeypatch):
    changed(zoo, lambda v: v["models"][0].pop("sha256"))
    monkeypatch.setenv("SAMZOO_INDEX", str(zoo / "index.json"))
    with pytest.raises(FormatError, match="sha256"):
        pull_from_index(name_of(zoo))


def test_an_index_from_the_web_names_no_file_of_ours(zoo, server):
    changed(zoo, lambda v: v["models"][0].update(manifest="file:///etc/samzoo.json"))
    index = read_index(f"{server}/index.json")
    assert index.models == []
    assert "is not on the web" in next(iter(index.bad.values()))


def test_a_broken_index_hides_no_other_model(zoo, monkeypatch, capsys):
    monkeypatch.setenv("SAMZOO_INDEX", f"{zoo / 'none.json'};{zoo / 'index.json'}")
    assert main(["list"]) == 0
    captured = capsys.readouterr()
    assert name_of(zoo) in captured.out
    assert "none.json: no such file" in captured.err


def test_an_unreachable_index_is_told(monkeypatch):
    with pytest.raises(StorageError, match="no connection"):
        read_index("http://127.0.0.1:1/index.json")


def test_an_unreachable_index_costs_little_and_hides_nothing(zoo, monkeypatch):
    """Each command waited 15 seconds for it, and then told nothing else."""
    unreachable = "http://127.0.0.1:1/index.json"
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail(f"waits {seconds} s"))
    monkeypatch.setenv("SAMZOO_INDEX", f"{unreachable};{zoo / 'index.json'}")
    assert pull_from_index(name_of(zoo)).is_dir()
    with pytest.raises(NotFoundError, match=r"'nothing': neither a package.* could say.*no conn"):
        resolve("nothing")


def test_an_unknown_name_is_told(zoo, monkeypatch):
    monkeypatch.setenv("SAMZOO_INDEX", str(zoo / "index.json"))
    with pytest.raises(NotFoundError, match="in no index"):
        pull_from_index("other")
    with pytest.raises(NotFoundError, match="neither a package folder"):
        resolve("other")


def test_two_packages_of_one_name_are_refused(zoo, tmp_path):
    with pytest.raises(InputError, match="two packages have the name"):
        write_index([zoo / "toy", zoo / "toy"], tmp_path / "index.json")
    assert not (tmp_path / "index.json").exists()


def test_all_folders_without_a_package_are_told_at_once(tmp_path):
    folders = [tmp_path / "gone", tmp_path / "lost"]
    with pytest.raises(InputError, match=r"2 packages cannot be used:\n.*gone.*\n.*lost"):
        write_index(folders, tmp_path / "index.json")
    assert not (tmp_path / "index.json").exists()


def test_the_command_line_writes_an_index(zoo, tmp_path, capsys):
    output = tmp_path / "zoo" / "again.json"
    assert main(["index", str(zoo / "toy"), "-o", str(output)]) == 0
    assert json.loads(output.read_text()) == json.loads((zoo / "index.json").read_text())
    assert main(["index", str(zoo / "toy"), "-o", str(output)]) == 2
    assert main(["index", str(zoo / "toy"), "-o", "index.txt"]) == 2
    assert "must end in .json" in capsys.readouterr().err


def test_an_index_may_name_packages_on_the_web(tmp_path, toy_package):
    write_index([toy_package], tmp_path / "i.json", url="https://lab.example/zoo/")
    (entry,) = json.loads((tmp_path / "i.json").read_text())["models"]
    assert entry["manifest"] == f"https://lab.example/zoo/{toy_package.name}/samzoo.json"
    for url in ("lab.example", "file:///a", "https://a b"):
        with pytest.raises(InputError, match="url: found"):
            write_index([toy_package], tmp_path / "i.json", url=url)
