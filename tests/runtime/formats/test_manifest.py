"""The manifest: a round trip, safe paths, and files that are exactly what it says."""

import dataclasses
import json

import pytest

from samzoo.runtime.errors import FormatError, NotFoundError
from samzoo.runtime.formats.architecture import Architecture
from samzoo.runtime.formats.families.tiny_vit import TinyVitConfig
from samzoo.runtime.formats.manifest import (
    AdapterEntry,
    FileEntry,
    Manifest,
    check_relative,
    read_entry,
)


def without_digest(path):
    """As somebody writes it who knows no digest: what else is wrong is then found."""
    value = json.loads(path.read_text())
    del value["digest"]
    return value


def edit(folder, **changes):
    path = folder / "samzoo.json"
    path.write_text(json.dumps({**without_digest(path), **changes}))


def test_a_manifest_survives_the_file(toy_package, make_package, tmp_path):
    metrics = {"evaluations": [{"subject": "this model", "scores": {"ais": {"msa": 0.5}}}]}
    package = make_package(
        tmp_path / "b", segments="discs", license="CC0-1.0", precision="fp16", metrics=metrics,
        card={"description": "Ä"}, software={"samzoo": "0"},
    )  # fmt: skip
    found = Manifest.read(package)
    assert (found.segments, found.license, found.metrics) == ("discs", "CC0-1.0", metrics)
    found.write(tmp_path / "b")
    assert Manifest.read(tmp_path / "b") == found


def test_files_are_found_by_role(toy_package):
    manifest = Manifest.read(toy_package)
    found = [manifest.graph(role) for role in ("encoder", "ais_decoder")]
    assert [entry and entry.path for entry in found] == [
        "onnx/encoder.onnx",
        "onnx/ais_decoder.onnx",
    ]
    assert manifest.graph("text_encoder") is None


@pytest.mark.parametrize("name", ["", "Nuclei", "a b", "-a", "a/b", "a" * 97, "ä", "a\n"])
def test_names_that_are_no_plain_file_names_are_refused(name, toy_config):
    with pytest.raises(FormatError, match=r"name: found .* allowed are lower-case letters"):
        Manifest(name=name, model=toy_config(), files=())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": {"name": "samzoo-package", "version": 9}}, "version is 9, this samzoo reads"),
        ({"format": {"name": "samzoo-model", "version": 1}}, "expected 'samzoo-package'"),
        ({"files": [{"path": "a"}]}, "missing 2 required"),
        ({"files": {}}, "files: expected a list"),
        ({"extra": 1}, "unknown key 'extra'"),
        ({"name": "A"}, "name: found 'A'"),
        ({"model": {}}, "missing .* 'architecture'"),
    ],
)
def test_a_damaged_or_newer_manifest_is_refused_by_name(toy_package, changes, message):
    edit(toy_package, **changes)
    with pytest.raises(FormatError, match=message) as caught:
        Manifest.read(toy_package)
    assert str(toy_package / "samzoo.json") in str(caught.value)


def test_a_folder_without_manifest_is_no_package(tmp_path):
    with pytest.raises(NotFoundError, match=r"no samzoo package here .samzoo\.json is missing"):
        Manifest.read(tmp_path)


UNSAFE = [
    "", "/etc/passwd", "../secret", "onnx/../../secret", "a//b", "a/", "./a", "a/.", "..", "C:\\x",
    "a\\b", "a\0b", "a\nb", "~/x\x1b", "x" * 256, "a/ /b",
]  # fmt: skip


@pytest.mark.parametrize("path", UNSAFE)
def test_unsafe_paths_are_refused(path, toy_package):
    with pytest.raises(FormatError, match=r"^here: unsafe path"):
        check_relative(path, where="here")
    edit(toy_package, files=[{"path": path, "size": 1, "sha256": "0" * 64}])
    with pytest.raises(FormatError, match="unsafe path"):
        Manifest.read(toy_package)
    entry = FileEntry(path=path, size=1, sha256="0" * 64)
    with pytest.raises(FormatError, match="unsafe path"):
        read_entry(toy_package, entry)


def test_plain_paths_are_accepted():
    for path in ("README.md", "onnx/encoder.onnx", "a b/c+d-e_f.1", ".gitattributes"):
        assert str(check_relative(path, where="here")) == path


@pytest.fixture
def entry(toy_package):
    return Manifest.read(toy_package).graph("encoder")


def test_a_file_that_is_as_described_is_read(toy_package, entry):
    assert read_entry(toy_package, entry) == (toy_package / entry.path).read_bytes()


def test_a_flipped_byte_is_found(toy_package, entry):
    path = toy_package / entry.path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"do not match samzoo\.json .* damaged or was changed"):
        read_entry(toy_package, entry)


def test_a_wrong_size_is_found_without_reading_the_file(toy_package, entry):
    (toy_package / entry.path).write_bytes(b"x" * (entry.size + 1))
    with pytest.raises(FormatError, match=f"{entry.size + 1} bytes do not match"):
        read_entry(toy_package, entry)


def test_a_missing_file_is_named(toy_package, entry):
    (toy_package / entry.path).unlink()
    with pytest.raises(NotFoundError, match=r"encoder\.onnx: listed in samzoo\.json but not there"):
        read_entry(toy_package, entry)


def test_a_symlink_is_refused_even_to_the_right_content(toy_package, entry):
    path = toy_package / entry.path
    path.rename(toy_package / "moved")
    path.symlink_to(toy_package / "moved")
    with pytest.raises(FormatError, match="not a plain file"):
        read_entry(toy_package, entry)
    (toy_package / "moved").unlink()
    with pytest.raises(NotFoundError, match="not there"):
        read_entry(toy_package, entry)


def test_a_folder_in_place_of_a_file_is_refused(toy_package, entry):
    folder = dataclasses.replace(entry, path="onnx")
    with pytest.raises(FormatError, match="not a plain file"):
        read_entry(toy_package, folder)


def test_a_package_of_one_model_is_written_as_version_1_for_older_readers(toy_package):
    written = json.loads((toy_package / "samzoo.json").read_text())
    assert written["format"]["version"] == 1
    assert "adapters" not in written
    assert all(file.keys() == {"path", "size", "sha256", "role"} for file in written["files"])


def test_a_package_of_adapters_is_version_2_and_survives_the_file(make_shared_package, tmp_path):
    package = make_shared_package(
        tmp_path / "p", entries={"dark": {"segments": "discs", "license": "CC0-1.0"}}
    )
    assert json.loads((package / "samzoo.json").read_text())["format"]["version"] == 2
    found = Manifest.read(package)
    assert [(a.name, a.segments, a.license) for a in found.adapters] == [
        ("dark", "discs", "CC0-1.0"), ("bright", "", ""),
    ]  # fmt: skip
    found.write(package)
    assert Manifest.read(package) == found
    assert found.graph("mask_decoder") is None
    entry = found.graph("mask_decoder", "dark")
    assert entry is not None
    assert entry.path == "adapters/dark/mask_decoder.onnx"


def _changed_adapter(change):
    def edit_manifest(value):
        change(value["adapters"][1])
        return value

    return edit_manifest


WRONG_ADAPTERS = {
    "twice": (_changed_adapter(lambda a: a.update(name="dark")), "two have the name 'dark'"),
    "renamed": (
        _changed_adapter(lambda a: a.update(name="other")),
        r"files: 'adapters/bright/lora\.onnx_adapter': adapter: found 'bright', the package has d",
    ),
    "path as name": (
        _changed_adapter(lambda a: a.update(name="../x")), r"adapters: name: found '\.\./x'"
    ),
    "unknown key": (_changed_adapter(lambda a: a.update(extra=1)), "unknown key 'extra'"),
    "gamma": (
        _changed_adapter(lambda a: a["model"]["preprocessing"].update(gamma=0.5)),
        r"adapters: bright: preprocessing\.gamma: found 0\.5, the shared encoder has 1\.0",
    ),
    "pixel_std": (
        _changed_adapter(lambda a: a["model"]["preprocessing"].update(pixel_std=[1, 2, 3])),
        r"adapters: bright: preprocessing\.pixel_std: found",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), WRONG_ADAPTERS.values(), ids=WRONG_ADAPTERS)
def test_adapters_that_do_not_fit_are_refused(make_shared_package, tmp_path, change, message):
    package = make_shared_package(tmp_path / "p")
    path = package / "samzoo.json"
    path.write_text(json.dumps(change(without_digest(path))))
    with pytest.raises(FormatError, match=rf"samzoo\.json: .*{message}"):
        Manifest.read(package)


def test_an_adapter_of_another_network_is_refused(toy_config):
    other = dataclasses.replace(
        toy_config(), architecture=Architecture(image_encoder=TinyVitConfig(image_size=64))
    )
    with pytest.raises(FormatError, match=r"adapters: a: architecture\.image_encoder: found Tiny"):
        Manifest(
            name="p", model=toy_config(), files=(),
            adapters=(AdapterEntry(name="a", model=other),),
        )  # fmt: skip
