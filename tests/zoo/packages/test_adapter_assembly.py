"""Packages of adapters alone: the same answers as with the encoder in the package."""

import json
import os
import shutil

import numpy as np
import pytest
import tiny
from fake_hub import FakeHub

from samzoo.runtime import Manifest, load
from samzoo.runtime.errors import FormatError, InputError, NotFoundError, WrongBaseError
from samzoo.runtime.formats.adapter import read_adapter, write_adapter
from samzoo.runtime.formats.files import read_tensors
from samzoo.zoo import add_adapters, export, export_adapters, export_shared, verify
from samzoo.zoo import load as load_by_name
from samzoo.zoo.cli import main
from samzoo.zoo.downloads import cache

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("segment_anything")

pytestmark = [pytest.mark.torch, pytest.mark.onnx]

DECODERS = ("mask_decoder.", "prompt_encoder.")
IMAGE = np.random.default_rng(0).integers(0, 256, (50, 62, 3)).astype(np.uint8)


def adapter(folder, base, *, seed):
    settings = {"rank": 2 + seed, "matrices": ["q", "v", "mlp"], "scale": 0.7}
    return tiny.write_lora_adapter(folder, base, "lora", settings, seed=seed)


def small_adapter(folder, base, *, seed):
    """An adapter whose mask decoder differs from the base's by a product in one layer."""
    rng = np.random.default_rng(seed)
    adapter(folder, base, seed=seed)
    config, tensors = read_adapter(folder)
    own = read_tensors(base / "model.safetensors")
    tensors = {name: own[name] if name.startswith(DECODERS) else tensors[name] for name in tensors}
    name = "mask_decoder.transformer.layers.0.mlp.lin1.weight"
    rows, columns = tensors[name].shape
    product = rng.standard_normal((rows, 2)) @ rng.standard_normal((2, columns))
    tensors[name] = (tensors[name] + 0.05 * product).astype(np.float32)
    tensors["mask_decoder.mask_tokens.weight"] += np.float32(0.1)
    write_adapter(folder, config, tensors)
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A package with a shared mask decoder, an adapter alone over it, and both merged."""
    root = tmp_path_factory.mktemp("small")
    base = tiny.write_base(root / "base", tiny.make_sam(tiny.make_config("vit")))
    first = small_adapter(root / "first", base, seed=1)
    second = small_adapter(root / "second", base, seed=2)
    export_shared({"first": first}, root / "shared", base=base, with_weights=True)
    export_adapters({"second": second}, root / "alone", over=root / "shared", base=base)
    add_adapters(root / "shared", {"second": second}, root / "both", base=base)
    for each in (first, second):
        export(each, root / f"{each.name}-merged", base=base)
    return root


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A shared package with one adapter, the same with two, and the second one alone."""
    root = tmp_path_factory.mktemp("alone")
    base = tiny.write_base(root / "base", tiny.make_sam(tiny.make_config("vit")))
    first = adapter(root / "first", base, seed=1)
    second = adapter(root / "second", base, seed=2)
    export_shared({"first": first}, root / "shared", base=base)
    add_adapters(root / "shared", {"second": second}, root / "both", base=base)
    export_adapters({"second": second}, root / "alone", over=root / "shared", base=base)
    return root


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setenv("SAMZOO_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with FakeHub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        yield server


def outputs(model):
    embeddings = model.embed(IMAGE)
    _, scores, low_res = model.prompt(embeddings, boxes=[[5, 6, 40, 30]])
    return embeddings.values, scores, low_res, model.ais_maps(embeddings)


def test_adapters_alone_answer_as_with_the_encoder_in_the_package(folders):
    alone = load(folders / "alone", base=folders / "shared")
    both = load(folders / "both")
    both.use("second")
    assert alone.config == both.config
    for found, expected in zip(outputs(alone), outputs(both), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_package_holds_no_encoder_and_says_where_it_is(folders):
    manifest = Manifest.read(folders / "alone")
    shared = Manifest.read(folders / "shared")
    assert {entry.path.split("/")[0] for entry in manifest.files} <= {
        "README.md",
        "adapters",
        "test",
    }
    assert manifest.encoder_from is not None
    assert manifest.encoder_from.name == shared.name == manifest.encoder_from.reference
    encoder = shared.graph("encoder")
    assert encoder is not None
    assert manifest.encoder_from.sha256 == encoder.sha256
    assert json.loads((folders / "alone/samzoo.json").read_text())["format"]["version"] == 3
    assert "`shared`" in (folders / "alone/README.md").read_text()


def test_without_its_encoder_it_says_what_to_pull(folders):
    with pytest.raises(NotFoundError, match=r"adapters without an encoder.*'shared'.*samzoo pull"):
        load(folders / "alone")


def test_another_encoder_is_refused(folders, tmp_path):
    base = tiny.write_base(tmp_path / "base", tiny.make_sam(tiny.make_config("vit"), 7))
    export_shared({"x": adapter(tmp_path / "x", base, seed=3)}, tmp_path / "other", base=base)
    with pytest.raises(WrongBaseError, match=r"encoder: found one of sha256"):
        load(folders / "alone", base=tmp_path / "other")
    with pytest.raises(WrongBaseError, match="not that of the base"):
        export_adapters({"x": tmp_path / "x"}, tmp_path / "new", over=folders / "shared", base=base)


def test_an_encoder_beside_it_is_found(folders):
    found = load_by_name(folders / "alone")
    expected = load(folders / "alone", base=folders / "shared")
    np.testing.assert_array_equal(found.embed(IMAGE).values, expected.embed(IMAGE).values)


def test_it_verifies_with_its_encoder_and_without(folders, tmp_path, monkeypatch):
    monkeypatch.setenv("SAMZOO_CACHE", str(tmp_path / "cache"))
    report = verify(folders / "alone")
    assert report.problems == []
    assert "second: box.low_res_logits" in report.differences
    shutil.copytree(folders / "alone", tmp_path / "alone")
    report = verify(tmp_path / "alone")
    assert report.problems == []
    assert any("encoder's package 'shared' is not here" in line for line in report.proved)


def test_pull_brings_the_encoder_once_and_remove_keeps_it(hub, folders, tmp_path, capsys):
    commit = hub.put("lab/shared", folders / "shared", tag="v1.0.0")
    for name in ("one", "two"):
        status = main([
            "share", str(folders / "second"), "--over", "hf:lab/shared@v1.0.0", "--base",
            str(folders / "base"), "-o", str(tmp_path / name), "--json",
        ])  # fmt: skip
        assert status == 0, capsys.readouterr().err
        source = Manifest.read(tmp_path / name).encoder_from
        assert source is not None
        assert source.reference == f"hf:lab/shared@{commit}"
        hub.put(f"lab/{name}", tmp_path / name)
    shutil.rmtree(cache.cache_folder())
    hub.log.clear()
    for name in ("one", "two"):
        assert main(["pull", f"hf:lab/{name}"]) == 0
    fetched = [path for _, path, _ in hub.log if path.endswith("encoder.onnx")]
    assert len(fetched) == 1
    capsys.readouterr()

    asked = len(hub.log)
    model = load_by_name("hf:lab/two")
    expected = load(tmp_path / "two", base=folders / "shared")
    np.testing.assert_array_equal(model.embed(IMAGE).values, expected.embed(IMAGE).values)
    assert len(hub.log) == asked  # works offline

    assert main(["remove", f"hf:lab/shared@{commit}"]) == 2
    assert "has the encoder that hf:lab/one" in capsys.readouterr().err
    for name in ("one", "two"):
        assert main(["remove", f"hf:lab/{name}"]) == 0
    assert main(["remove", f"hf:lab/shared@{commit}"]) == 0
    assert cache.cached() == []


def test_publish_wants_an_encoder_that_others_can_pull(folders, tmp_path, capsys):
    package = tmp_path / "alone"
    shutil.copytree(folders / "alone", package)
    assert main(["publish", str(package), "--to", "huggingface:lab/alone", "--dry-run"]) == 2
    errors = capsys.readouterr().err
    assert "encoder_from: found 'shared', which others cannot pull" in errors or "card" in errors


def test_a_manifest_with_an_encoder_and_one_from_elsewhere_is_refused(folders, tmp_path):
    shutil.copytree(folders / "both", tmp_path / "both", copy_function=os.link)
    path = tmp_path / "both/samzoo.json"
    value = json.loads(path.read_text())
    del value["digest"]
    value["encoder_from"] = {"name": "shared", "reference": "shared", "sha256": 64 * "0"}
    path.unlink()
    path.write_text(json.dumps(value))
    with pytest.raises(FormatError, match=r"encoder_from.*has an encoder of its own"):
        Manifest.read(tmp_path / "both")


def test_over_refuses_a_package_of_one_model_and_other_options(folders, capsys, tmp_path):
    adapter = str(folders / "second")
    common = ["share", adapter, "--base", str(folders / "base"), "-o", str(tmp_path / "x")]
    assert main([*common, "--over", "nuclei-vit-t"]) == 2
    assert "has no encoder that takes adapters" in capsys.readouterr().err
    assert main([*common, "--over", str(folders / "shared"), "--precision", "fp16"]) == 2
    assert "--over uses the encoder as it is" in capsys.readouterr().err
    add = ["--add-to", str(folders / "alone")]
    assert main([*common[:-1], str(tmp_path / "y"), *add]) == 2
    assert "holds adapters alone" in capsys.readouterr().err


def test_adapters_that_change_little_share_the_mask_decoder(small):
    shared, alone = (Manifest.read(small / name) for name in ("shared", "alone"))
    graph = shared.graph("mask_decoder")
    assert graph is not None
    assert shared.graph("mask_decoder", "first") is None
    for manifest, name in ((shared, "first"), (alone, "second")):
        changes = manifest.graph("mask_decoder_changes", name)
        assert changes is not None
        assert changes.size < 0.1 * graph.size
        assert manifest.to_json()["format"]["version"] == 4
    assert alone.encoder_from is not None
    assert alone.encoder_from.mask_decoder_sha256 == graph.sha256
    assert Manifest.read(small / "alone") == alone


def test_a_changed_mask_decoder_answers_as_the_merged_one(small):
    both = load(small / "both")
    for name, model in (
        ("first", load(small / "shared")),
        ("second", load_by_name(small / "alone")),
    ):
        both.use(name)
        expected = outputs(load(small / f"{name}-merged"))
        for found, same, value in zip(outputs(model), outputs(both), expected, strict=True):
            np.testing.assert_array_equal(found, same)
            np.testing.assert_allclose(found, value, atol=1e-5 * np.abs(value).max(), rtol=0)
    for name in ("shared", "alone", "both"):
        assert verify(small / name).problems == []


def test_a_package_with_another_mask_decoder_is_refused(small, tmp_path):
    base = small / "base"
    other = adapter(tmp_path / "other", base, seed=5)
    export_shared({"other": other}, tmp_path / "whole", base=base)
    assert Manifest.read(tmp_path / "whole").graph("mask_decoder") is None
    with pytest.raises(WrongBaseError, match="mask_decoder: found none"):
        load(small / "alone", base=tmp_path / "whole")


def test_damaged_changes_are_refused_by_name(small, tmp_path):
    shutil.copytree(small / "shared", tmp_path / "shared")
    path = tmp_path / "shared/adapters/first/mask_decoder.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    model = load(tmp_path / "shared")
    with pytest.raises(FormatError, match=r"mask_decoder\.safetensors: .* bytes do not match"):
        model.prompt(model.embed(IMAGE), boxes=[[5, 6, 40, 30]])


def test_the_default_models_weights_make_an_ordinary_package(small, tmp_path):
    export(small / "shared", tmp_path / "again")
    again = Manifest.read(tmp_path / "again")
    assert again.adapters == ()
    assert again.model.weights_digest == Manifest.read(small / "first-merged").model.weights_digest
    found, expected = (outputs(load(path)) for path in (tmp_path / "again", small / "first-merged"))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(InputError, match="no weights to export from"):
        export(small / "alone", tmp_path / "alone-again")
