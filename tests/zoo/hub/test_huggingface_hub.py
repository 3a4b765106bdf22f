"""Pulling, publishing, listing and removing, against a hub on the loopback interface."""

import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_hub import FakeHub

from samzoo.runtime.errors import FormatError, InputError, NotFoundError, StorageError
from samzoo.runtime.formats.files import sha256_of
from samzoo.runtime.formats.manifest import FileEntry, Manifest
from samzoo.zoo import resolve
from samzoo.zoo.cli import main
from samzoo.zoo.downloads import cache
from samzoo.zoo.downloads import documents as web_document
from samzoo.zoo.downloads import transfer as download
from samzoo.zoo.hub.huggingface_hub import parse_reference, pull_from_hub

BIG = "onnx/encoder.onnx"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setattr(download, "PAUSE", 0.001)
    monkeypatch.setattr(web_document, "PAUSE", 0.001)
    monkeypatch.setenv("SAMZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with FakeHub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        yield server


@pytest.fixture
def package(tmp_path, toy_package):
    """A package with some big file, which can be opened."""
    shutil.copytree(toy_package, tmp_path / "package")
    data = random.Random(0).randbytes(700_000)
    (tmp_path / "package" / "big.bin").write_bytes(data)
    add_file(tmp_path / "package", "big.bin")
    return tmp_path / "package"


def add_file(folder, name, **changes):
    manifest = Manifest.read(folder)
    file = folder / name
    entry = FileEntry(path=name, size=file.stat().st_size, sha256=sha256_of(file))
    files = (*manifest.files, dataclasses.replace(entry, **changes))
    dataclasses.replace(manifest, files=files).write(folder)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def nothing_complete():
    return cache.cached() == []


def test_a_pulled_package_is_byte_for_byte_the_published_one(hub, package):
    commit = hub.put("lab/cells", package, tag="v1.0.0")
    folder = pull_from_hub("hf:lab/cells@v1.0.0")
    assert contents(folder) == contents(package)
    assert folder.name.endswith(commit)


def test_it_is_pulled_once_and_works_offline_afterwards(hub, package):
    hub.put("lab/cells", package)
    folder = resolve("hf:lab/cells")
    asked = len(hub.log)
    assert resolve("hf:lab/cells") == folder
    assert len(hub.log) == asked
    assert resolve(f"hf:lab/cells@{folder.name[-40:]}") == folder


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "link", "manifest"])
def test_pull_heals_what_is_damaged_in_the_cache(hub, package, damage):
    """It said that all was well, while every use said: fetch it again."""
    hub.put("lab/cells", package)
    folder = pull_from_hub("hf:lab/cells")
    path = folder / ("samzoo.json" if damage == "manifest" else "big.bin")
    data = path.read_bytes()
    if damage in ("gone", "link"):
        path.unlink()
    if damage == "link":
        path.symlink_to(package / "big.bin")
    if damage in ("flip", "manifest"):
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    if damage == "cut":
        path.write_bytes(data[:-9])
    asked = len(hub.log)
    assert pull_from_hub("hf:lab/cells") == folder
    assert contents(folder) == contents(package)
    assert not path.is_symlink()
    fetched = {address.rsplit("/", 1)[-1] for _, address, _ in hub.log[asked:]}
    assert damage == "manifest" or "encoder.onnx" not in fetched  # only what was bad
    assert "big.bin" in fetched or damage == "manifest"


def test_a_branch_is_asked_anew_by_pull(hub, package):
    hub.put("lab/cells", package)
    first = pull_from_hub("hf:lab/cells")
    (package / "more.txt").write_text("more")
    add_file(package, "more.txt")
    hub.put("lab/cells", package)
    second = pull_from_hub("hf:lab/cells")
    assert second != first
    assert resolve("hf:lab/cells") == second
    assert first.is_dir()  # still there under its commit


def test_a_broken_connection_is_continued_where_it_broke(hub, package):
    hub.put("lab/cells", package)
    hub.cut["big.bin"] = [100_000, 50_000]
    folder = pull_from_hub("hf:lab/cells")
    assert contents(folder) == contents(package)
    ranges = [r for _, path, r in hub.log if path.endswith("big.bin")]
    assert ranges == [None, "bytes=100000-", "bytes=150000-"]


def test_a_later_pull_goes_on_from_what_is_there(hub, package):
    hub.put("lab/cells", package)
    hub.cut["big.bin"] = [300_000]
    hub.fail["big.bin"] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, "ATTEMPTS", 0)  # gives up at once
        with pytest.raises(StorageError, match="Run the same command again to resume"):
            pull_from_hub("hf:lab/cells")
    assert nothing_complete()
    assert contents(pull_from_hub("hf:lab/cells")) == contents(package)
    assert (hub.log[-1][2] or "").startswith("bytes=")


def test_a_server_that_is_busy_is_asked_again(hub, package):
    hub.put("lab/cells", package)
    hub.fail["big.bin"] = [503, 429]
    hub.fail["samzoo.json"] = [502]
    assert contents(pull_from_hub("hf:lab/cells")) == contents(package)


def test_a_server_that_stays_down_is_told(hub, package):
    hub.put("lab/cells", package)
    hub.fail["big.bin"] = [503] * 50
    with pytest.raises(StorageError, match="HTTP 503"):
        pull_from_hub("hf:lab/cells")
    assert nothing_complete()


def test_wrong_bytes_are_refused(hub, package):
    hub.put("lab/cells", package)
    hub.corrupt.add("big.bin")
    with pytest.raises(FormatError, match=r"big\.bin: found sha256"):
        pull_from_hub("hf:lab/cells")
    assert nothing_complete()
    hub.corrupt.clear()
    assert contents(pull_from_hub("hf:lab/cells")) == contents(package)


def test_a_file_of_another_size_is_refused(hub, package):
    (package / "big.bin").write_bytes(b"short")
    hub.put("lab/cells", package)
    with pytest.raises(FormatError, match="the server has 5 bytes, expected 700000"):
        pull_from_hub("hf:lab/cells")
    assert nothing_complete()


def test_a_missing_file_is_told(hub, package):
    (package / "big.bin").unlink()
    hub.put("lab/cells", package)
    with pytest.raises(NotFoundError, match=r"big\.bin.*HTTP 404"):
        pull_from_hub("hf:lab/cells")
    assert nothing_complete()


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("hf:lab/other", "no such file"),
        ("hf:lab/cells@v9", "no such file"),
        ("hf:lab", "expected ORG/NAME"),
        ("hf:../cells", "expected ORG/NAME"),
        ("hf:lab/cells@../x", "after the @"),
        ("hf:lab/a/b", "expected ORG/NAME"),
    ],
)
def test_references_that_lead_nowhere_are_told(hub, package, reference, message):
    hub.put("lab/cells", package)
    with pytest.raises((NotFoundError, InputError), match=message):
        pull_from_hub(reference)


def test_a_repository_without_a_package_is_told(hub, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text("{}")
    hub.put("lab/other", tmp_path / "other")
    with pytest.raises(NotFoundError, match=r"samzoo\.json"):
        pull_from_hub("hf:lab/other")


HOSTILE = {
    "a path that leaves": ({"path": "../evil"}, "unsafe path"),
    "an absolute path": ({"path": "/evil"}, "unsafe path"),
    "a name Windows keeps": ({"path": "con.txt"}, "Windows cannot hold"),
    "the same name in capitals": ({"path": "BIG.bin"}, "the same name as"),
    "the manifest's own name": ({"path": "Samzoo.json"}, "the same name as"),
    "a file as a folder": ({"path": "big.bin/x"}, "both a file and a folder"),
    "a negative size": ({"size": -1}, "size: found -1"),
    "a huge size": ({"size": 10**15}, "size: found"),
    "no hash": ({"sha256": "xyz"}, "expected 64 lower-case hex digits"),
}


@pytest.mark.parametrize(("changes", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_manifests_are_refused_before_a_file_is_fetched(hub, package, changes, message):
    (package / "more.txt").write_text("more")
    add_file(package, "more.txt", **changes)
    hub.put("lab/cells", package)
    with pytest.raises(FormatError, match=message):
        pull_from_hub("hf:lab/cells")
    assert nothing_complete()
    assert not any(path.endswith("big.bin") for _, path, _ in hub.log)


def test_a_full_disk_leaves_nothing_complete(hub, package, monkeypatch):
    hub.put("lab/cells", package)

    def full(file, block, path):
        raise StorageError(f"{path}: cannot be written (No space left on device)")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, "_write", full)
        with pytest.raises(StorageError, match="No space left"):
            pull_from_hub("hf:lab/cells")
    assert nothing_complete()
    assert contents(pull_from_hub("hf:lab/cells")) == contents(package)


def test_too_little_room_is_told_before_the_download(hub, package, monkeypatch):
    hub.put("lab/cells", package)
    usage = shutil.disk_usage(package)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(StorageError, match="bytes are needed, 1000 are free"):
        pull_from_hub("hf:lab/cells")
    assert not any(path.endswith("big.bin") for _, path, _ in hub.log)


def test_a_token_goes_to_the_hub_only(hub, package, monkeypatch):
    """A private model is asked for with HF_TOKEN."""
    hub.put("lab/cells", package)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert contents(pull_from_hub("hf:lab/cells")) == contents(package)


PULL = (
    "import sys; from samzoo.zoo.hub.huggingface_hub import pull_from_hub; "
    "print(pull_from_hub(sys.argv[1]))"
)


def test_eight_processes_pull_at_once_and_a_third_is_killed(hub, package):
    """Nothing is corrupt, no lock stays, and those that live have the package."""
    hub.put("lab/cells", package)
    hub.cut["big.bin"] = [60_000] * 6
    rng = random.Random(0)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for _ in range(3):
        shutil.rmtree(cache.cache_folder(), ignore_errors=True)
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", PULL, "hf:lab/cells"], env=environment,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for _ in range(8)
        ]  # fmt: skip
        time.sleep(0.4)
        doomed = rng.sample(processes, 3)
        for process in doomed:
            time.sleep(rng.uniform(0, 0.3))
            process.send_signal(signal.SIGKILL)
        for process in processes:
            out, error = process.communicate(timeout=120)
            if process in doomed and process.returncode:
                continue
            assert process.returncode == 0, error
            assert contents(Path(out.strip())) == contents(package)
        assert contents(pull_from_hub("hf:lab/cells")) == contents(package)
        assert len(cache.cached()) == 1


def test_list_shows_what_is_in_the_cache_and_remove_deletes_it(hub, package, capsys):
    hub.put("lab/cells", package, tag="v1.0.0")
    assert main(["pull", "hf:lab/cells@v1.0.0"]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert main(["list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["models"]}
    assert rows["nuclei-vit-t"]["from"] == "samzoo"
    assert rows["nuclei-vit-t"]["scores"]["ais"] > 0.5
    (pulled,) = (row for name, row in rows.items() if name.startswith("hf:"))
    assert pulled["from"] == "cache"
    assert main(["list"]) == 0
    assert "downloaded" in capsys.readouterr().out
    assert main(["remove", "hf:lab/cells@v1.0.0"]) == 0
    assert not folder.exists()
    assert nothing_complete()
    assert main(["remove", "hf:lab/cells@v1.0.0"]) == 2
    assert "not in the cache" in capsys.readouterr().err


def test_the_shipped_model_is_never_removed(hub, capsys):
    assert main(["remove", "nuclei-vit-t"]) == 2
    assert "ships with samzoo" in capsys.readouterr().err


def test_a_pulled_model_segments(hub, tmp_path, capsys):
    hub.put("lab/nuclei", resolve("nuclei-vit-t"))
    image = Path(__file__).resolve().parents[3] / "examples" / "nuclei.tif"
    if not image.exists():
        pytest.skip("the examples are not beside these tests")
    output = tmp_path / "labels.tif"
    assert main(["segment", str(image), "-o", str(output), "--model", "hf:lab/nuclei"]) == 0
    assert output.is_file()


def test_pull_of_what_is_here_says_so(hub, package, capsys):
    for reference in ("nuclei-vit-t", str(package)):
        assert main(["pull", reference]) == 2
        assert "is already on this machine" in capsys.readouterr().err


def test_pull_of_an_unknown_name_says_where_it_looked(hub, capsys, monkeypatch):
    monkeypatch.delenv("SAMZOO_INDEX", raising=False)
    assert main(["pull", "cells"]) == 2
    assert "in no index; looked in: none; name one in SAMZOO_INDEX" in capsys.readouterr().err


def test_a_reference_reads_back():
    for text in ("hf:lab/cells@main", "hf:lab/cells@v1.0.0"):
        assert str(parse_reference(text)) == text


# Publishing, with huggingface_hub in a process of its own: it reads its settings when imported.


COMMAND = "import sys; from samzoo.zoo.cli import main; sys.exit(main())"


def publish(*arguments, **environment):
    pytest.importorskip("huggingface_hub")
    return subprocess.run(
        [sys.executable, "-c", COMMAND, "publish", *map(str, arguments)],
        env={**os.environ, "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "hf_x", **environment},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.fixture
def nuclei(tmp_path):
    shutil.copytree(resolve("nuclei-vit-t"), tmp_path / "nuclei")
    return tmp_path / "nuclei"


def test_publish_pull_verify_is_a_round_trip(hub, nuclei, capsys):
    done = publish(nuclei, "--to", "huggingface:lab/nuclei", "--version", "1.2.0")
    assert done.returncode == 0, (done.stderr, hub.log[-3:])
    assert done.stdout.strip() == "hf:lab/nuclei@v1.2.0"
    folder = pull_from_hub("hf:lab/nuclei@v1.2.0")
    assert contents(folder) == contents(nuclei)
    assert main(["verify", "hf:lab/nuclei@v1.2.0"]) == 0
    repository = hub.repositories["lab/nuclei"]
    assert len(repository.commits) == 2  # one for all files
    assert repository.tags == {"v1.2.0": repository.head}


def test_a_version_is_published_once(hub, nuclei):
    assert publish(nuclei, "--to", "huggingface:lab/nuclei").returncode == 0
    head = hub.repositories["lab/nuclei"].head
    again = publish(nuclei, "--to", "huggingface:lab/nuclei")
    assert again.returncode == 2
    assert "v1.0.0 is published already" in again.stderr
    assert hub.repositories["lab/nuclei"].head == head
    assert publish(nuclei, "--to", "huggingface:lab/nuclei", "--version", "1.0.1").returncode == 0


def test_a_dry_run_publishes_nothing(hub, nuclei):
    done = publish(nuclei, "--to", "huggingface:lab/nuclei", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "files would be published, and nothing else:" in done.stdout
    listed = {line.split()[0] for line in done.stdout.splitlines()[1:]}
    assert listed == set(contents(nuclei))
    assert hub.repositories == {}


def test_a_package_that_does_not_verify_is_not_published(hub, nuclei):
    (nuclei / "cover.png").write_bytes(b"other")
    done = publish(nuclei, "--to", "huggingface:lab/nuclei")
    assert done.returncode == 2
    assert "does not verify" in done.stderr
    assert "cover.png" in done.stderr
    assert hub.repositories == {}


def test_a_card_without_licence_is_not_published(hub, nuclei):
    manifest = Manifest.read(nuclei)
    from samzoo.zoo.packages.changes import update_package

    update_package(nuclei, dataclasses.replace(manifest, license=""))
    done = publish(nuclei, "--to", "huggingface:lab/nuclei")
    assert done.returncode == 2
    assert "license: missing" in done.stderr
    assert hub.repositories == {}


def test_publishing_without_access_says_so(hub, nuclei):
    hub.token = "hf_other"
    done = publish(nuclei, "--to", "huggingface:lab/nuclei")
    assert done.returncode == 2
    assert "set HF_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_place_is_told(hub, nuclei):
    done = publish(nuclei, "--to", "ftp://x")
    assert done.returncode == 2
    assert "allowed: huggingface:ORG/NAME or bioimageio:FILE.zip" in done.stderr


def test_an_upload_that_fails_is_a_failed_connection_not_an_internal_error(hub, nuclei):
    hub.refuse_uploads = True
    done = publish(nuclei, "--to", "huggingface:lab/nuclei")
    assert done.returncode == 3, done.stderr
    assert "lab/nuclei: the upload failed (Error while uploading" in done.stderr
    assert "internal error" not in done.stderr
    assert "v1.0.0" not in hub.repositories["lab/nuclei"].tags


def test_a_package_without_a_bioimageio_zip_is_told(hub, nuclei, tmp_path):
    done = publish(nuclei, "--to", f"bioimageio:{tmp_path / 'x.zip'}")
    assert done.returncode == 2
    assert "--target bioimageio" in done.stderr


def test_an_endpoint_that_is_no_address_is_named(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "ftp://mirror")
    with pytest.raises(
        InputError, match=r"HF_ENDPOINT: expected an address .* found 'ftp://mirror'"
    ):
        pull_from_hub("hf:org/name")


def test_a_proxy_that_does_not_answer_is_named_without_its_password(hub, monkeypatch):
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:9")
    with pytest.raises(StorageError, match=r"through the proxy '127\.0\.0\.1:9'") as told:
        pull_from_hub("hf:org/name")
    assert "secret" not in str(told.value)
