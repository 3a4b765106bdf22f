"""``samzoo verify``: what it proves, and that it finds whatever was done to a package."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import NotFoundError
from samzoo.runtime.formats.files import read_tensors, sha256_of, write_tensors
from samzoo.runtime.formats.manifest import FileEntry, Manifest
from samzoo.zoo import resolve, verify
from samzoo.zoo.cli import main
from samzoo.zoo.packages.self_test import TEST_FILE, TOLERANCES, picture
from samzoo.zoo.targets import choose_targets

FLIPS = 1000


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A tiny package with everything a package can hold."""
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from samzoo.zoo import export

    folder = tmp_path_factory.mktemp("verify")
    base = tiny.write_base(folder / "base", tiny.make_sam(tiny.make_config("vit", wider=True)))
    export(
        base, folder / "package", name="cells", weights=True,
        targets=choose_targets(["huggingface"]),
        card={"authors": "Jürgen"}, files={"cover.png": b"picture"},
    )  # fmt: skip
    return folder / "package"


@pytest.fixture
def small(tmp_path):
    """A package that is quickly hashed a thousand times."""
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from samzoo.zoo import export

    base = tiny.write_base(tmp_path / "base", tiny.make_sam(tiny.make_config("vit")))
    export(base, tmp_path / "package", files={"cover.png": bytes(range(256))})
    return tmp_path / "package"


@pytest.fixture
def package(made, tmp_path):
    shutil.copytree(made, tmp_path / "package")
    return tmp_path / "package"


def listed_again(folder, *, drop=(), **changes):
    """Write the manifest for the files as they are now, as an attacker would."""
    manifest = Manifest.read(folder)
    files = tuple(
        dataclasses.replace(
            entry, size=(folder / entry.path).stat().st_size, sha256=sha256_of(folder / entry.path)
        )
        for entry in manifest.files
        if entry.path not in drop
    )
    dataclasses.replace(manifest, files=files, **changes).write(folder)


def problem(folder):
    report = verify(folder)
    assert not report.ok
    assert str(folder) in report.problems[0]
    return "\n".join(report.problems)


def test_the_shipped_package_is_whole():
    report = verify(resolve("nuclei-vit-t"))
    assert report.problems == []
    assert len(report.proved) == 5
    assert max(report.differences.values()) < TOLERANCES["fp16"]


def test_a_fresh_package_is_whole(package):
    report = verify(package)
    assert report.problems == []
    assert set(report.differences) == {
        "image_embeddings", "point.iou_predictions", "point.low_res_logits",
        "box.iou_predictions", "box.low_res_logits", "ais_maps",
    }  # fmt: skip


@pytest.mark.slow
def test_a_thousand_flipped_bits_are_all_found(small):
    """One at a time, anywhere in any file, the manifest included."""
    package = small
    rng = np.random.default_rng(0)
    files = sorted(path for path in package.rglob("*") if path.is_file())
    sizes = np.array([path.stat().st_size for path in files])
    # Half of them in proportion to the size, half in any file: the small ones count too.
    chances = 0.5 * sizes / sizes.sum() + 0.5 / len(files)
    missed = []
    for _ in range(FLIPS):
        path = files[rng.choice(len(files), p=chances)]
        data = bytearray(path.read_bytes())
        position, bit = int(rng.integers(len(data))), int(rng.integers(8))
        data[position] ^= 1 << bit
        path.write_bytes(data)
        if verify(package, run=False).ok:
            missed.append((path.name, position, bit))
        data[position] ^= 1 << bit
        path.write_bytes(data)
    assert missed == []
    assert verify(package).ok


def test_every_bit_of_a_manifest_s_escapes_counts(package):
    r"""The u umlaut is stored as \u00fc, of which \u00FC is the same text."""
    path = package / "samzoo.json"
    text = path.read_text()
    assert "\\u00fc" in text
    path.write_text(text.replace("\\u00fc", "\\u00FC"))
    assert "bytes are not those that samzoo writes" in problem(package)


@pytest.mark.parametrize("file", ["onnx/encoder.onnx", "cover.png", TEST_FILE])
def test_a_missing_file_is_found(package, file):
    (package / file).unlink()
    assert "listed in samzoo.json but not there" in problem(package)


def test_an_extra_file_is_found(package):
    (package / "onnx" / "more.py").write_text("import os")
    assert "more.py: not listed in samzoo.json" in problem(package)


def test_a_link_is_found(package, tmp_path):
    (package / "cover.png").rename(tmp_path / "elsewhere.png")
    (package / "cover.png").symlink_to(tmp_path / "elsewhere.png")
    assert "cover.png: is a link" in problem(package)


def test_a_linked_manifest_is_found(package, tmp_path):
    (package / "samzoo.json").rename(tmp_path / "elsewhere.json")
    (package / "samzoo.json").symlink_to(tmp_path / "elsewhere.json")
    assert "samzoo.json: is a link" in problem(package)


def test_a_hard_link_is_found(package, tmp_path):
    os.link(package / "cover.png", tmp_path / "elsewhere.png")
    assert "cover.png: is a hard link" in problem(package)


def test_names_that_collide_elsewhere_are_found(package):
    (package / "Cover.png").write_bytes(b"picture")
    manifest = Manifest.read(package)
    entry = FileEntry(path="Cover.png", size=7, sha256=sha256_of(package / "Cover.png"))
    dataclasses.replace(manifest, files=(*manifest.files, entry)).write(package)
    assert "are one file on some systems" in problem(package)


def test_a_file_listed_twice_is_found(package):
    manifest = Manifest.read(package)
    dataclasses.replace(manifest, files=(*manifest.files, manifest.files[0])).write(package)
    assert "are one file on some systems" in problem(package)


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a/../../b", "C:\\x", "a\x00b"])
def test_a_path_that_leaves_the_package_is_found(package, path):
    manifest = Manifest.read(package)
    entry = dataclasses.replace(manifest.files[0], path=path)
    dataclasses.replace(manifest, files=(*manifest.files, entry)).write(package)
    assert "unsafe path" in problem(package)


def test_a_changed_manifest_is_found(package):
    path = package / "samzoo.json"
    value = json.loads(path.read_text())
    value["segments"] = "something else"
    path.write_text(json.dumps(value, indent=2) + "\n")
    assert "digest: found 'sha256:" in problem(package)


def test_a_newer_format_is_told_politely(package):
    path = package / "samzoo.json"
    value = json.loads(path.read_text())
    value["format"]["version"] = 99
    path.write_text(json.dumps(value, indent=2) + "\n")
    assert "; update your copy of samzoo's repository, then run in it:" in problem(package)


def test_a_manifest_without_digest_is_said_to_have_none(package):
    path = package / "samzoo.json"
    value = json.loads(path.read_text())
    del value["digest"]
    path.write_text(json.dumps(value, indent=2) + "\n")
    report = verify(package)
    assert report.ok
    assert "no digest" in report.proved[0]


def test_other_answers_are_found(package):
    stored = {name: np.array(value) for name, value in read_tensors(package / TEST_FILE).items()}
    stored["box.low_res_logits"] *= np.float32(1.01)
    write_tensors(package / TEST_FILE, stored, {})
    listed_again(package)
    found = problem(package)
    assert "box.low_res_logits: differs by 0.0099 of its largest value, allowed are 0.001" in found


def test_a_package_without_a_test_says_so(package):
    (package / TEST_FILE).unlink()
    (package / "test").rmdir()
    listed_again(package, drop=[TEST_FILE])
    report = verify(package)
    assert report.ok
    assert "no test of its own" in report.proved[-1]


def test_the_picture_is_the_same_everywhere():
    assert picture().shape == (48, 64)
    assert int(picture().astype(np.int64).sum()) == 217789


def changed_graph(folder, role, change):
    import onnx

    path = folder / "onnx" / f"{role}.onnx"
    model = onnx.load(path, load_external_data=False)
    change(model)
    path.write_bytes(model.SerializeToString())
    listed_again(folder)


def rename_input(model):
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name == "input_image":
                node.input[index] = "pixels"
    model.graph.input[0].name = "pixels"


def to_double(model):
    model.graph.input[0].type.tensor_type.elem_type = 11


def external(model):
    tensor = max(model.graph.initializer, key=lambda t: len(t.raw_data))
    tensor.ClearField("raw_data")
    tensor.data_location = 1
    tensor.external_data.add(key="location", value="../../secret")


def other_domain(model):
    model.graph.node[0].domain = "evil"
    model.opset_import.add(domain="evil", version=1)


def newer_opset(model):
    model.opset_import[0].version = 23


def with_loop(model):
    import onnx

    body = onnx.helper.make_graph([], "body", [], [])
    model.graph.node.append(onnx.helper.make_node("Loop", ["a"], ["b"], body=body))


def other_digest(model):
    for prop in model.metadata_props:
        if prop.key == "samzoo.weights_digest":
            prop.value = "sha256:" + "0" * 64


GRAPHS = {
    "an input of another name": (rename_input, "inputs and outputs: found"),
    "an input of another type": (to_double, "encoder.onnx"),
    "weights outside": (external, "weights in other files"),
    "another domain": (other_domain, "domains: found"),
    "a newer opset": (newer_opset, "opset 23 and IR"),
    "a loop": (with_loop, "Loop"),
    "another model's digest": (other_digest, "samzoo.weights_digest: found"),
}


@pytest.mark.onnx
@pytest.mark.parametrize(("change", "message"), GRAPHS.values(), ids=GRAPHS)
def test_a_graph_that_breaks_its_contract_is_found(package, change, message):
    """Although the manifest lists it with its right hash."""
    pytest.importorskip("onnx")
    changed_graph(package, "encoder", change)
    assert message in problem(package)


@pytest.mark.parametrize("data", [b"", b"\xff" * 40, b"\x08\x08", b"{}", b"\x3a\xff\xff\xff\x7f"])
def test_what_is_no_graph_is_found(package, data):
    (package / "onnx" / "encoder.onnx").write_bytes(data)
    listed_again(package)
    assert "not an ONNX model" in problem(package)


def test_a_folder_without_a_package_is_an_error(tmp_path):
    with pytest.raises(NotFoundError, match="no samzoo package here"):
        verify(tmp_path)


def test_the_command_line_prints_what_was_proved(capsys):
    assert main(["verify", "nuclei-vit-t"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("ok  ") for line in lines)


def test_the_command_line_lists_the_problems(package, capsys):
    (package / "cover.png").unlink()
    (package / "extra").write_text("")
    assert main(["verify", str(package)]) == 2
    message = capsys.readouterr().err
    assert "2 problems" in message
    assert "cover.png" in message
    assert "extra" in message
