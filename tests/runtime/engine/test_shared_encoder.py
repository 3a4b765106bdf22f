"""Adapters over one toy encoder: an adapter multiplies the image by its gain."""

import dataclasses
import threading

import numpy as np
import pytest

from samzoo.runtime import load
from samzoo.runtime.engine.variants import Variant
from samzoo.runtime.errors import FormatError, InputError, NotFoundError
from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.model import Model

GAINS = {"dark": 0.5, "bright": 2.0}
SHADE = 100
"""Of the image below: 0.2 with half the gain, 0.8 with twice the gain, of the threshold 0.5."""


@pytest.fixture
def package(make_shared_package, tmp_path):
    return make_shared_package(tmp_path / "shared", gains=GAINS)


@pytest.fixture
def image(discs):
    return discs((64, 64), [(20, 20), (45, 40)], high=SHADE)


def values_of(model, image):
    return model.embed(image).values[0, :16]


def expected(toy_networks, image, gain):
    rgb = np.repeat(image[..., None], 3, axis=2)
    return toy_networks.encode(rgb)[0, :16] * np.float32(gain)


def test_the_first_adapter_is_in_use_and_the_others_are_listed(package):
    model = load(package)
    assert model.adapters == ("dark", "bright")
    assert model.adapter == "dark"
    assert model.config.weights_digest == "sha256:dark"


def test_use_switches_encoder_labels_and_config(package, image, toy_networks):
    model = load(package)
    for name in ("bright", "dark", "bright", "bright", "dark"):
        model.use(name)
        assert model.adapter == name
        assert model.config.weights_digest == f"sha256:{name}"
        found = values_of(model, image)
        np.testing.assert_allclose(found, expected(toy_networks, image, GAINS[name]), rtol=1e-6)
        assert model.segment(image).max() == (2 if name == "bright" else 0)


def test_an_encoder_without_factors_is_the_bases(package, image, toy_networks):
    from samzoo.runtime.engine.sessions import OnnxNetworks

    graph = (package / "onnx" / "encoder.onnx").read_bytes()
    encoder = OnnxNetworks(lambda role: graph, load(package).config)
    rgb = np.repeat(image[..., None], 3, axis=2)
    np.testing.assert_array_equal(encoder.encode(rgb), toy_networks.encode(rgb))
    assert encoder.factor_shapes() == {"gain.lora_a": (1, None), "gain.lora_b": (None, 1)}


def test_decoders_are_the_adapters_own(make_shared_package, tmp_path, image, toy_config):
    package = make_shared_package(
        tmp_path / "p", gains=GAINS, configs={"dark": toy_config(ais=False)}
    )
    model = load(package)
    with pytest.raises(InputError, match="no AIS decoder"):
        model.segment(image)
    model.use("bright")
    assert model.segment(image).max() == 2


def test_thresholds_and_intensities_are_the_adapters_own(
    make_shared_package, tmp_path, image, toy_config
):
    strict = AisParameters(foreground_threshold=0.9, foreground_smoothing=0, distance_smoothing=0)
    package = make_shared_package(
        tmp_path / "p",
        gains={"loose": 2.0, "strict": 2.0, "stretched": 2.0},
        configs={
            "strict": dataclasses.replace(toy_config(), ais=strict),
            "stretched": toy_config(intensity="min_max"),
        },
    )
    model = load(package)
    assert model.segment(image).max() == 2
    model.use("strict")
    assert model.segment(image).max() == 0
    model.use("stretched")
    assert values_of(model, image).max() == 2.0


def test_embeddings_of_one_adapter_are_refused_by_another(package, image):
    model = load(package)
    embeddings = model.embed(image)
    model.use("bright")
    with pytest.raises(InputError, match=r"computed by the model sha256:dark, this is sha256:bri"):
        model.prompt(embeddings, boxes=[10, 10, 30, 30])
    model.use("dark")
    model.prompt(embeddings, boxes=[10, 10, 30, 30])


def test_an_unknown_adapter_is_refused_and_nothing_changes(package):
    model = load(package)
    with pytest.raises(InputError, match=r"adapter: found 'x', this package has: dark, bright"):
        model.use("x")
    assert model.adapter == "dark"


def test_a_package_of_one_model_has_no_adapters(toy_package):
    model = load(toy_package)
    assert (model.adapters, model.adapter) == ((), None)
    with pytest.raises(InputError, match="found 'dark', this package holds one model only"):
        model.use("dark")


def test_using_an_adapter_reads_nothing(package, image):
    for path in package.rglob("*.onnx*"):
        path.unlink()
    model = load(package)
    model.use("bright")
    with pytest.raises(NotFoundError, match=r"encoder\.onnx: listed in samzoo\.json but not there"):
        model.embed(image)


def test_the_encoder_and_each_adapters_factors_are_read_once(package, image):
    model = load(package)
    for name in GAINS:
        model.use(name)
        model.embed(image)
    for path in package.rglob("*.onnx_adapter"):
        path.unlink()
    (package / "onnx" / "encoder.onnx").unlink()
    for name in GAINS:
        model.use(name)
        model.embed(image)


def test_a_call_ends_with_the_adapter_it_began_with(toy_networks, toy_config, image):
    class Switching:
        """Switches to the other adapter in the middle of a call."""

        decode_prompts = toy_networks.decode_prompts

        def encode(self, image):
            model.use("other")
            return toy_networks.encode(image)

        def decode_ais(self, embeddings):
            return toy_networks.decode_ais(embeddings * 2)

    class Other:
        def encode(self, image):
            raise AssertionError("the call began with the first adapter")

        def decode_prompts(self, *arguments, **options):
            raise AssertionError("the call began with the first adapter")

        def decode_ais(self, image_embeddings):
            raise AssertionError("the call began with the first adapter")

    config = toy_config()
    first = Variant(config, Switching(), "first")
    other = Variant(dataclasses.replace(config, weights_digest="sha256:other"), Other(), "other")
    model = Model(*first[:2], adapters={"first": first, "other": other})
    assert model.segment(image).max() == 2
    assert model.adapter == "other"


def test_threads_that_switch_get_one_adapter_each_call(package, image, toy_networks):
    model = load(package, threads=1)
    wanted = {f"sha256:{n}": expected(toy_networks, image, g).max() for n, g in GAINS.items()}
    wrong = []

    def work(names):
        for name in names * 20:
            model.use(name)
            found = model.embed(image)
            if not np.isclose(np.asarray(found.values).max(), wanted[found.weights_digest]):
                wrong.append(name)

    threads = [threading.Thread(target=work, args=(names,)) for names in
               (["dark", "bright"], ["bright", "dark"], ["dark"])]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("role", ["lora_factors", "mask_decoder", "ais_decoder", "encoder"])
def test_a_missing_role_is_named_with_its_adapter(package, role):
    from samzoo.runtime.formats.manifest import Manifest

    manifest = Manifest.read(package)
    files = tuple(
        entry for entry in manifest.files
        if (entry.role, entry.adapter) not in ((role, "bright"), ("encoder", "") if role ==
                                               "encoder" else ())
    )  # fmt: skip
    dataclasses.replace(manifest, files=files).write(package)
    owner = "" if role == "encoder" else " of the adapter 'bright'"
    with pytest.raises(FormatError, match=f"files: no file{owner} has the role '{role}'"):
        load(package)


def test_changed_factors_are_refused_before_they_are_read(package, image):
    path = package / "adapters" / "dark" / "lora.onnx_adapter"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    model = load(package)
    with pytest.raises(FormatError, match=r"lora\.onnx_adapter: .* do not match samzoo\.json"):
        model.embed(image)
    model.use("bright")
    model.embed(image)


def test_factors_of_another_encoder_are_refused(
    make_shared_package, make_factor_file, tmp_path, image
):
    other = make_factor_file(
        {"x.lora_a": np.ones((3, 2), np.float32), "x.lora_b": np.ones((2, 3), np.float32)}
    )
    model = load(make_shared_package(tmp_path / "p", gains=GAINS, factors={"dark": other}))
    with pytest.raises(
        FormatError, match=r"dark/lora.onnx_adapter: 'x.lora_a' is no input of this"
    ):
        model.embed(image)


def test_an_encoder_that_takes_no_factors_is_refused(package, toy_package, image):
    from samzoo.runtime.formats.manifest import Manifest

    manifest, plain = Manifest.read(package), Manifest.read(toy_package).graph("encoder")
    assert plain is not None
    (package / plain.path).write_bytes((toy_package / plain.path).read_bytes())
    files = tuple(plain if entry.role == "encoder" else entry for entry in manifest.files)
    dataclasses.replace(manifest, files=files).write(package)
    with pytest.raises(FormatError, match=r"'gain.lora_a' is no input of this encoder"):
        load(package).embed(image)
