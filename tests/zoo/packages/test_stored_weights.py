"""Packages that hold their weights can be exported again."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny

from samzoo.runtime import load
from samzoo.runtime.errors import FormatError, InputError
from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.formats.files import read_tensors
from samzoo.runtime.formats.manifest import WEIGHTS, CardPicture, DataSet, Manifest, Precision
from samzoo.zoo import export
from samzoo.zoo.cards.card_pictures import own_path
from samzoo.zoo.packages.changes import update_package
from samzoo.zoo.targets import choose_targets

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytestmark = [pytest.mark.torch, pytest.mark.onnx]


@pytest.fixture
def sam():
    return tiny.make_sam(tiny.make_config("vit", wider=True))


@pytest.fixture
def base(tmp_path, sam):
    return tiny.write_base(tmp_path / "base", sam)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A package with weights, exported once; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("exported")
    base = tiny.write_base(folder / "base", tiny.make_sam(tiny.make_config("vit", wider=True)))
    export(base, folder / "package", weights=True)
    return folder / "package"


@pytest.fixture
def package(exported, tmp_path):
    return Path(shutil.copytree(exported, tmp_path / "package"))


def test_a_package_with_weights_is_exported_again(tmp_path, base):
    export(
        base, tmp_path / "first", name="cells", segments="cells", weights=True,
        card={"authors": "me"}, files={"cover.png": b"picture"},
    )  # fmt: skip
    first = Manifest.read(tmp_path / "first")
    shown = CardPicture(path=own_path("use", b"a"), shows="use", caption="a", attribution="b")
    said = dataclasses.replace(first, pictures=(shown,), datasets=(DataSet(name="cells"),))
    update_package(tmp_path / "first", said, added={shown.path: b"a"})
    second = export(
        tmp_path / "first", tmp_path / "second", targets=choose_targets(["huggingface"])
    )
    assert (second.name, second.segments, second.card) == ("cells", "cells", {"authors": "me"})
    assert (tmp_path / "second" / "cover.png").read_bytes() == b"picture"
    assert (second.pictures, second.datasets) == (said.pictures, said.datasets)
    assert (tmp_path / "second" / shown.path).read_bytes() == b"a"
    for role in ("encoder", "mask_decoder", "ais_decoder"):
        graphs = [
            (tmp_path / n / "onnx" / f"{role}.onnx").read_bytes() for n in ("first", "second")
        ]
        assert graphs[0] == graphs[1]
    assert (tmp_path / "second" / "huggingface" / "model.safetensors").is_file()
    assert second.graph(WEIGHTS) is None


def test_a_package_is_exported_again_with_other_thresholds(tmp_path, exported):
    first = Manifest.read(exported)
    ais = AisParameters(center_distance_threshold=0.3, min_size=12)
    second = export(exported, tmp_path / "second", ais=ais)
    assert load(tmp_path / "second").config.ais == second.model.ais == ais != first.model.ais
    assert second.model.weights_digest == first.model.weights_digest


def test_weights_are_stored_as_they_are_or_in_half(tmp_path, base):
    given = read_tensors(base / "model.safetensors")
    kinds: tuple[tuple[Precision, type], ...] = (("fp32", np.float32), ("fp16", np.float16))
    for precision, dtype in kinds:
        folder = tmp_path / precision
        manifest = export(base, folder, precision=precision, weights=True)
        entry = manifest.graph(WEIGHTS)
        assert entry is not None
        assert entry.path == "model.safetensors"
        stored = read_tensors(folder / entry.path)
        assert stored.keys() == given.keys()
        name = "mask_decoder.transformer.layers.0.self_attn.q_proj.weight"
        assert stored[name].dtype == dtype
        np.testing.assert_array_equal(stored[name], given[name].astype(dtype))
        small = "mask_decoder.iou_token.weight"
        np.testing.assert_array_equal(stored[small], given[small])


def test_a_package_without_weights_says_what_to_do(tmp_path, base):
    export(base, tmp_path / "package")
    with pytest.raises(InputError, match=r"holds no weights to export from.*--with-weights"):
        export(tmp_path / "package", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_changed_weights_are_refused(tmp_path, package):
    path = package / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(FormatError, match="do not match"):
        export(package, tmp_path / "again")


def test_weights_under_another_path_are_refused(tmp_path, package):
    manifest = Manifest.read(package)
    files = tuple(
        dataclasses.replace(entry, role=WEIGHTS if entry.path == "README.md" else "")
        if entry.role in ("", WEIGHTS)
        else entry
        for entry in manifest.files
    )
    dataclasses.replace(manifest, files=files).write(package)
    with pytest.raises(FormatError, match=r"weights must be model\.safetensors"):
        export(package, tmp_path / "again")


def test_the_manifest_lists_them(exported):
    listed = {entry.path: entry.role for entry in Manifest.read(exported).files}
    assert listed["model.safetensors"] == WEIGHTS
