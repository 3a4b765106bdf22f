"""Adapters over one exported encoder: each gives what its merged, normally exported model gives."""

import dataclasses
import json
import shutil
from typing import Any

import numpy as np
import pytest
import tiny

from samzoo.runtime import Manifest, load
from samzoo.runtime.errors import (
    FormatError,
    InputError,
    NotFoundError,
    OutputExistsError,
    WrongBaseError,
)
from samzoo.runtime.formats.adapter import write_adapter
from samzoo.runtime.formats.config import AisParameters, ModelConfig, Preprocessing
from samzoo.runtime.formats.files import read_tensors, sha256_of
from samzoo.runtime.formats.lora_factors import factor_names
from samzoo.training.methods import get_method
from samzoo.zoo import add_adapters, export, export_shared, verify
from samzoo.zoo.graphs.factor_files import encoder_factors

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("segment_anything")

pytestmark = [pytest.mark.torch, pytest.mark.onnx]

TOLERANCE = 1e-5
"""Relative to the largest value: merging sums in float64 and rounds once, the encoder in float32;
measured here: at most 9e-7."""

IMAGE = np.random.default_rng(0).integers(0, 256, (50, 62, 3)).astype(np.uint8)

ADAPTERS = {
    # Two ranks, two choices of matrices, one in the late blocks only, scales other than 1.
    "narrow": ("lora", {"rank": 2, "matrices": ["q", "v"], "scale": 0.7}),
    "wide": ("lora", {"rank": 5, "matrices": ["q", "k", "v", "proj", "mlp"], "scale": 1.3}),
    "late": ("late_lora", {"rank": 3, "matrices": ["k", "mlp"], "scale": 2.0}),
}


@pytest.fixture(scope="module", params=["vit", "tiny_vit"])
def base(request, tmp_path_factory):
    sam = tiny.make_sam(tiny.make_config(request.param, gamma=0.8, pixel_mean=(90.0, 100.0, 110.0)))
    return tiny.write_base(tmp_path_factory.mktemp("bases") / "base", sam)


@pytest.fixture(scope="module")
def adapters(base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapters")
    changes: dict[str, dict[str, Any]] = {
        "wide": {"ais": AisParameters(min_size=7)},
        "late": {
            "preprocessing": Preprocessing(
                gamma=0.8, pixel_mean=(90.0, 100.0, 110.0), intensity="min_max", scale=1.5
            )
        },
    }
    return {
        name: tiny.write_lora_adapter(
            folder / name, base, *described, seed=seed, **changes.get(name, {})
        )
        for seed, (name, described) in enumerate(ADAPTERS.items())
    }


@pytest.fixture(scope="module")
def package(adapters, base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages") / "shared"
    export_shared(adapters, folder, base=base, segments="noise")
    return folder


@pytest.fixture(scope="module")
def merged_packages(adapters, base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("merged")
    for name, adapter in adapters.items():
        export(adapter, folder / name, base=base)
    return {name: folder / name for name in adapters}


def test_a_shared_package_verifies(package):
    report = verify(package)
    assert report.problems == []
    graphs = sum(entry.path.endswith(".onnx") for entry in Manifest.read(package).files)
    assert graphs > 3
    assert any(f"ranks of {graphs};" in line for line in report.proved)
    tested = {name.partition(":")[0] for name in report.differences}
    assert tested == set(ADAPTERS)


def test_each_adapter_is_held_against_its_own_answers(package, tmp_path):
    """The tests of two adapters are exchanged: what they answer is not what is stored."""
    broken = tmp_path / "broken"
    shutil.copytree(package, broken)
    paths = [broken / f"adapters/{name}/expected.safetensors" for name in ("narrow", "wide")]
    contents = [path.read_bytes() for path in paths]
    for path, data in zip(paths, reversed(contents), strict=True):
        path.write_bytes(data)
    update_package_files(broken)
    problems = verify(broken).problems
    assert any("narrow/expected.safetensors: box.low_res_logits: differs by" in p for p in problems)
    assert not any("adapters/late" in p for p in problems)


def update_package_files(folder):
    """List the files of a package as they are now."""
    manifest = Manifest.read(folder)
    files = tuple(
        dataclasses.replace(entry, size=(folder / entry.path).stat().st_size,
                            sha256=sha256_of(folder / entry.path))
        for entry in manifest.files
    )  # fmt: skip
    dataclasses.replace(manifest, files=files).write(folder)


def relative(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


def test_each_adapter_gives_what_its_merged_model_gives(package, merged_packages):
    model = load(package)
    assert model.adapters == tuple(ADAPTERS)
    merged = {name: load(folder) for name, folder in merged_packages.items()}
    embeddings = {name: each.embed(IMAGE) for name, each in merged.items()}
    for name in ("narrow", "wide", "narrow", "late", "wide", "late"):
        model.use(name)
        assert model.config == merged[name].config
        found = model.embed(IMAGE)
        assert relative(found.values, embeddings[name].values) <= TOLERANCE
        for other in set(ADAPTERS) - {name}:
            assert relative(found.values, embeddings[other].values) > 0.01
        boxes = [[5, 5, 40, 30], [20, 10, 60, 45]]
        ours, theirs = (each.prompt(found, boxes=boxes) for each in (model, merged[name]))
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-6)
        maps, expected = model.ais_maps(found), merged[name].ais_maps(found)
        np.testing.assert_array_equal(maps, expected)
        np.testing.assert_array_equal(model.segment(IMAGE), merged[name].segment(IMAGE))


def test_the_encoder_without_factors_is_the_bases(package, base, tmp_path):
    from samzoo.runtime.engine.sessions import OnnxNetworks

    export(base, tmp_path / "base")
    expected = load(tmp_path / "base").networks.encode(IMAGE)
    graph = (package / "onnx" / "encoder.onnx").read_bytes()
    alone = OnnxNetworks(lambda role: graph, load(package).config)
    assert relative(alone.encode(IMAGE), expected) <= TOLERANCE


def test_onnxruntimes_own_loader_gives_the_same(package):
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(package / "onnx" / "encoder.onnx"), settings)
    model = load(package)
    for name in ADAPTERS:
        model.use(name)
        adapter, options = onnxruntime.LoraAdapter(), onnxruntime.RunOptions()
        adapter.Load(str(package / "adapters" / name / "lora.onnx_adapter"))
        options.add_active_adapter(adapter)
        (found,) = session.run(None, {"input_image": IMAGE.astype(np.float32)}, options)
        np.testing.assert_array_equal(found, model.networks.encode(IMAGE))


def test_half_storage_rounds_weights_and_factors(adapters, base, package, tmp_path):
    export_shared(adapters, tmp_path / "half", base=base, precision="fp16")
    for path in ("adapters/wide/lora.onnx_adapter", "onnx/encoder.onnx"):
        full, half = ((p / path).stat().st_size for p in (package, tmp_path / "half"))
        assert half < 0.9 * full
    model, exact = load(tmp_path / "half"), load(package)
    model.use("wide")
    exact.use("wide")
    assert relative(model.networks.encode(IMAGE), exact.networks.encode(IMAGE)) < 0.02


def test_the_manifest_says_which_file_is_whose(package, base):
    manifest = Manifest.read(package)
    assert manifest.model.weights_digest == ModelConfig.read(base / "config.json").weights_digest
    assert {(f.path, f.role, f.adapter) for f in manifest.files if f.role} == {
        ("onnx/encoder.onnx", "encoder", ""),
        *((f"adapters/{name}/{file}", role, name) for name in ADAPTERS for file, role in (
            ("lora.onnx_adapter", "lora_factors"), ("mask_decoder.onnx", "mask_decoder"),
            ("ais_decoder.onnx", "ais_decoder"), ("expected.safetensors", "test"))),
    }  # fmt: skip
    assert json.loads((package / "samzoo.json").read_text())["format"]["version"] == 2
    card = (package / "README.md").read_text(encoding="utf-8")
    assert "--adapter narrow" in card
    assert (
        f"| late |  | Apache-2.0 | late_lora | min_max | 1.5 | - | `{_digest(manifest, 2)}` |"
        in card
    )


def _digest(manifest, index):
    return manifest.adapters[index].model.weights_digest


def test_an_encoder_is_the_same_file_whichever_adapters_use_it(adapters, base, package, tmp_path):
    export_shared({"narrow": adapters["narrow"]}, tmp_path / "one", base=base)
    both = [(p / "onnx" / "encoder.onnx").read_bytes() for p in (package, tmp_path / "one")]
    assert both[0] == both[1]


def test_an_adapter_is_added_to_a_package(adapters, base, package, tmp_path):
    first = {name: adapters[name] for name in ("narrow", "wide")}
    export_shared(first, tmp_path / "two", base=base, segments="noise", name="shared")
    manifest = add_adapters(tmp_path / "two", {"late": adapters["late"]}, tmp_path / "three",
                            base=base)  # fmt: skip
    assert manifest == Manifest.read(package)
    for entry in manifest.files:
        assert (tmp_path / "three" / entry.path).read_bytes() == (package / entry.path).read_bytes()


@pytest.mark.parametrize("layer", ["qkv", "lin1", "fc1"])
def test_factors_multiply_to_the_delta_that_is_merged(adapters, base, layer):
    config = ModelConfig.read(base / "config.json")
    tensors = read_tensors(base / "model.safetensors")
    adapter = read_tensors(adapters["wide"] / "adapter_model.safetensors")
    delta = {n: v for n, v in adapter.items() if ".lora_" in n}
    method = get_method("lora")
    settings = method.settings(ADAPTERS["wide"][1])
    folded = method.fold(tensors, delta, config.architecture, settings)
    factors = encoder_factors(adapters["wide"], config.architecture.image_encoder)
    names = [name for name in folded if name.endswith(f".{layer}.weight")]
    for name in names:
        a, b = factor_names(name.removeprefix("image_encoder.").removesuffix(".weight"))
        change = folded[name] - tensors[name]
        np.testing.assert_allclose((factors[a] @ factors[b]).T, change, atol=1e-5)
    assert names or layer != "qkv"


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vit") / "base"
    return tiny.write_base(folder, tiny.make_sam(tiny.make_config("vit")))


def simple(folder, base, method="lora", *, seed=0, **changes):
    settings = {} if method not in SIMPLE else SIMPLE[method]
    return tiny.write_lora_adapter(folder, base, method, settings, seed=seed, **changes)


SIMPLE = {
    "lora": {"rank": 2, "matrices": ["q", "v"]},
    "qlora": {"rank": 2, "matrices": ["q", "mlp"], "quantization": "nf4"},
}


def test_qlora_adapters_share_the_rounded_base(vit, tmp_path):
    adapters = {name: simple(tmp_path / name, vit, "qlora", seed=i) for i, name in enumerate("ab")}
    manifest = export_shared(adapters, tmp_path / "p", base=vit)
    assert manifest.model.source["encoder_rounded_to"] == "nf4"
    model = load(tmp_path / "p")
    for name, adapter in adapters.items():
        export(adapter, tmp_path / f"merged-{name}", base=vit)
        model.use(name)
        expected = load(tmp_path / f"merged-{name}").networks.encode(IMAGE)
        assert relative(model.networks.encode(IMAGE), expected) <= TOLERANCE
        assert model.config.source["merged_from"]["qlora_base"] == "dequantized"


def test_lora_and_qlora_share_the_original_base_only_where_that_is_asked_for(vit, tmp_path):
    adapters = {"l": simple(tmp_path / "l", vit), "q": simple(tmp_path / "q", vit, "qlora")}
    with pytest.raises(
        InputError,
        match=r"q: needs an encoder with weights rounded to nf4, .*l one with the base's own "
        r"weights; export them into two packages, or pass --qlora-base original",
    ):
        export_shared(adapters, tmp_path / "p", base=vit)
    export_shared(adapters, tmp_path / "p", base=vit, qlora_base="original")
    model = load(tmp_path / "p")
    for name in adapters:
        options: dict[str, Any] = {"qlora_base": "original"} if name == "q" else {}
        export(adapters[name], tmp_path / f"m{name}", base=vit, **options)
        model.use(name)
        expected = load(tmp_path / f"m{name}").networks.encode(IMAGE)
        assert relative(model.networks.encode(IMAGE), expected) <= TOLERANCE


def test_different_roundings_do_not_share_an_encoder(vit, tmp_path):
    nf4 = simple(tmp_path / "nf4", vit, "qlora")
    fp4 = tiny.write_lora_adapter(
        tmp_path / "fp4", vit, "qlora", {**SIMPLE["qlora"], "quantization": "fp4"}, seed=1
    )
    with pytest.raises(InputError, match=r"rounded to fp4, .* one with weights rounded to nf4"):
        export_shared({"a": nf4, "b": fp4}, tmp_path / "p", base=vit)


@pytest.mark.parametrize("method", ["ssf", "fact", "full", "bias", "adaptformer"])
def test_methods_that_are_no_lora_are_refused_with_what_to_do(vit, tmp_path, method):
    adapter = simple(tmp_path / "a", vit)
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(
        json.dumps({**config, "method": method, "hyperparameters": {}})
    )
    with pytest.raises(
        InputError,
        match=rf"method: found '{method}', .* allowed under a shared encoder are lora, late_lora, "
        r"qlora, late_qlora\. .*: samzoo export .*a -o PACKAGE",
    ):
        export_shared({"a": adapter}, tmp_path / "p", base=vit)


def test_what_is_more_than_factors_is_refused(vit, tmp_path):
    adapter = simple(tmp_path / "a", vit)
    tensors = read_tensors(adapter / "adapter_model.safetensors")
    tensors["image_encoder.pos_embed"] = np.zeros((1, 8, 8, 16), np.float32)
    from samzoo.runtime.formats.adapter import read_adapter_config

    write_adapter(adapter, read_adapter_config(adapter / "adapter_config.json"), tensors)
    with pytest.raises(FormatError, match=r"'image_encoder\.pos_embed'"):
        export_shared({"a": adapter}, tmp_path / "p", base=vit)


@pytest.mark.parametrize(
    ("field", "value"),
    [("gamma", 0.5), ("pixel_mean", (1.0, 2.0, 3.0)), ("pixel_std", (1.0, 2.0, 3.0))],
)
def test_preprocessing_inside_the_graph_must_agree(vit, tmp_path, field, value):
    first = simple(tmp_path / "a", vit)
    other = simple(tmp_path / "b", vit, preprocessing=Preprocessing(**{field: value}))
    with pytest.raises(
        FormatError, match=rf"adapters: b: preprocessing\.{field}: found .* the shared encoder has"
    ):
        export_shared({"a": first, "b": other}, tmp_path / "p", base=vit)
    assert not (tmp_path / "p").exists()


def test_another_base_is_refused_by_digest(vit, tmp_path):
    other = tiny.write_base(tmp_path / "other", tiny.make_sam(tiny.make_config("vit"), seed=5))
    adapters = {"a": simple(tmp_path / "a", vit), "b": simple(tmp_path / "b", other)}
    with pytest.raises(WrongBaseError, match=r"is not that of the base that .*b was trained on"):
        export_shared(adapters, tmp_path / "p", base=vit)


def test_what_does_not_fit_a_package_is_not_added_to_it(vit, tmp_path):
    lora = {"a": simple(tmp_path / "a", vit)}
    export_shared(lora, tmp_path / "p", base=vit)
    with pytest.raises(
        InputError, match=r"p: its encoder holds the base's own weights, the adapters need weights "
        "rounded to nf4; export them into a package of their own",
    ):  # fmt: skip
        add_adapters(tmp_path / "p", {"q": simple(tmp_path / "q", vit, "qlora")}, tmp_path / "n")
    with pytest.raises(FormatError, match="adapters: two have the name 'a'"):
        add_adapters(tmp_path / "p", lora, tmp_path / "n")
    dark = simple(tmp_path / "dark", vit, preprocessing=Preprocessing(gamma=0.5))
    with pytest.raises(FormatError, match=r"adapters: dark: preprocessing\.gamma: found 0\.5"):
        add_adapters(tmp_path / "p", {"dark": dark}, tmp_path / "n")
    other = tiny.write_base(tmp_path / "other", tiny.make_sam(tiny.make_config("vit"), seed=5))
    foreign = simple(tmp_path / "f", other)
    with pytest.raises(WrongBaseError, match=r"p: weights digest .* is not that of the base that"):
        add_adapters(tmp_path / "p", {"f": foreign}, tmp_path / "n")
    export(vit, tmp_path / "plain")
    with pytest.raises(InputError, match=r"plain: holds one model; adapters are added to a"):
        add_adapters(tmp_path / "plain", {"b": lora["a"]}, tmp_path / "n")
    with pytest.raises(OutputExistsError, match="would replace the input"):
        add_adapters(tmp_path / "p", {"b": lora["a"]}, tmp_path / "p", force=True)
    assert not (tmp_path / "n").exists()


def test_wrong_sources_are_refused(vit, tmp_path):
    with pytest.raises(InputError, match="a shared encoder needs at least one adapter"):
        export_shared({}, tmp_path / "p", base=vit)
    with pytest.raises(InputError, match=r"holds no adapter_config\.json; a shared encoder takes"):
        export_shared({"a": vit}, tmp_path / "p", base=vit)
    adapter = simple(tmp_path / "a", vit)
    with pytest.raises(FormatError, match="the adapter's name: found 'A b'"):
        export_shared({"A b": adapter}, tmp_path / "p", base=vit)
    with pytest.raises(InputError, match="precision: found 'int4'"):
        export_shared({"a": adapter}, tmp_path / "p", base=vit, precision="int4")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="'int8', allowed for a shared encoder: fp32, fp16"):
        export_shared({"a": adapter}, tmp_path / "p", base=vit, precision="int8")
    with pytest.raises(NotFoundError, match="the base of"):
        export_shared({"a": adapter}, tmp_path / "p", base=tmp_path / "nowhere")
    for output in (adapter, vit):
        with pytest.raises(OutputExistsError, match="would replace the input"):
            export_shared({"a": adapter}, output, base=vit, force=True)


def test_factors_of_another_size_are_refused(vit, tmp_path):
    wider = dataclasses.replace(
        tiny.make_config("vit"),
        architecture=dataclasses.replace(
            tiny.make_config("vit").architecture,
            image_encoder=dataclasses.replace(tiny.ENCODERS["vit"], mlp_ratio=3.0),
        ),
    )
    other = tiny.write_base(tmp_path / "other", tiny.make_sam(wider))
    settings = {"rank": 2, "matrices": ["mlp"]}
    export_shared(
        {"a": tiny.write_lora_adapter(tmp_path / "a", vit, "lora", settings, seed=0)},
        tmp_path / "p",
    )
    export_shared(
        {"a": tiny.write_lora_adapter(tmp_path / "b", other, "lora", settings, seed=0)},
        tmp_path / "q",
    )
    path = "adapters/a/lora.onnx_adapter"
    (tmp_path / "p" / path).write_bytes((tmp_path / "q" / path).read_bytes())
    manifest, changed = Manifest.read(tmp_path / "p"), Manifest.read(tmp_path / "q")
    other_file = changed.graph("lora_factors", "a")
    assert other_file is not None
    files = tuple(other_file if entry.path == path else entry for entry in manifest.files)
    dataclasses.replace(manifest, files=files).write(tmp_path / "p")
    with pytest.raises(
        FormatError,
        match=r"adapters/a/lora\.onnx_adapter: blocks\.0\.mlp\.lin1\.lora_b: found the shape "
        r"\(2, 48\), the encoder takes \(rank, 32\); the adapter belongs to another encoder",
    ):
        load(tmp_path / "p").embed(IMAGE)
