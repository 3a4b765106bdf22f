"""Sums of adapters against the sums of their deltas, and what cannot be summed."""

import dataclasses

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import FormatError, InputError, OutputExistsError, WrongBaseError
from samzoo.runtime.formats.adapter import read_adapter, write_adapter
from samzoo.runtime.formats.fields import to_json
from samzoo.runtime.formats.folders import read_model_folder
from samzoo.runtime.formats.prefixes import AIS_DECODER_PREFIX, ENCODER_PREFIX
from samzoo.runtime.formats.shapes import tensor_shapes
from samzoo.training.methods import METHODS, get_method
from samzoo.zoo.checkpoints.base import read_base
from samzoo.zoo.exchange.foreign import Foreign, completed, parameter_shapes
from samzoo.zoo.merging.folding import merge, merged
from samzoo.zoo.merging.sums import sum_adapters

TOLERANCE = 1e-5
"""Absolute, on weights of size 1: the factors are float32, their sums float64."""


@pytest.fixture(scope="module")
def make(seeded_base, tmp_path_factory):
    """Write an adapter with seeded tensors over the seeded base; returns its folder."""

    def write(
        seed, *, method="lora", ais=True, base=seeded_base, config=None, change=None, **given
    ):
        read, row = read_base(base), get_method(method)
        values = row.settings(given)
        shapes = row.trainable(parameter_shapes(read), read.config.architecture, values)
        shapes = {ENCODER_PREFIX + name: shape for name, shape in shapes.items()}
        decoder = tiny.AIS_DECODER if ais else None
        architecture = dataclasses.replace(read.config.architecture, ais_decoder=decoder)
        shapes |= {
            n: s for n, s in tensor_shapes(architecture).items() if not n.startswith(ENCODER_PREFIX)
        }
        tensors = {**tiny.seeded_weights(shapes, seed), **(change or {})}
        foreign = Foreign(
            method=method, hyperparameters=to_json(values), tensors=tensors, ais_decoder=decoder
        )
        made, tensors = completed(foreign, read, where="made")
        folder = tmp_path_factory.mktemp("adapters") / f"adapter-{seed}"
        folder.mkdir()
        write_adapter(folder, dataclasses.replace(made, **(config or {})), tensors)
        return folder

    return write


@pytest.fixture(scope="module")
def two(make):
    first = make(1, rank=2, matrices=["q", "v"], scale=0.5)
    return first, make(2, rank=3, matrices=["q", "k", "mlp"], blocks=[1])


def test_the_sum_adds_the_weighted_deltas_of_the_encoder(two, seeded_base, tmp_path):
    weights = (0.25, -2.0)
    config = sum_adapters(two, tmp_path / "sum", weights=weights)
    assert config.method == "lora"
    assert config.hyperparameters == {
        "rank": 5, "matrices": ["q", "k", "v", "mlp"], "scale": 1.0, "blocks": None,
        "mask_decoder_rank": 0,
    }  # fmt: skip
    _, base = read_model_folder(seeded_base)
    _, found = merged(tmp_path / "sum", base=seeded_base)
    each = [merged(folder, base=seeded_base)[1] for folder in two]
    for name, value in base.items():
        expected = value + sum(
            weight * (one[name].astype(np.float64) - value)
            for weight, one in zip(weights, each, strict=True)
        )
        np.testing.assert_allclose(found[name], expected, atol=TOLERANCE, err_msg=name)


def test_the_ais_decoder_is_the_mean_where_the_base_has_none(two, tmp_path):
    sum_adapters(two, tmp_path / "sum", weights=(1, 3))
    given = [read_adapter(folder)[1] for folder in two]
    _, found = read_adapter(tmp_path / "sum")
    names = [name for name in found if name.startswith(AIS_DECODER_PREFIX)]
    assert names
    for name in names:
        expected = 0.25 * given[0][name] + 0.75 * given[1][name]
        np.testing.assert_allclose(found[name], expected, atol=TOLERANCE)


def test_an_ais_decoder_starts_from_the_bases_own(make, tmp_path):
    config = tiny.make_config("vit")
    tensors = tiny.seeded_weights(tensor_shapes(config.architecture), seed=9)
    base = tiny.write_weights(tmp_path / "base", config, tensors)
    folders = [make(seed, rank=1, base=base) for seed in (3, 4)]
    sum_adapters(folders, tmp_path / "sum", weights=(1, -1))
    given = [read_adapter(folder)[1] for folder in folders]
    _, found = read_adapter(tmp_path / "sum")
    name = "ais_decoder.head.weight"
    expected = tensors[name] + given[0][name] - given[1][name]
    np.testing.assert_allclose(found[name], expected, atol=TOLERANCE)


def test_one_adapter_with_all_the_weight_is_that_adapter(two, seeded_base, tmp_path):
    sum_adapters(two, tmp_path / "sum", weights=(1, 0))
    _, found = merged(tmp_path / "sum", base=seeded_base)
    _, expected = merged(two[0], base=seeded_base)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=TOLERANCE)


def test_a_sum_is_merged_as_any_adapter_is(two, seeded_base, tmp_path):
    sum_adapters(two, tmp_path / "sum", weights=(0.5, 0.5))
    config = merge(tmp_path / "sum", tmp_path / "model")
    expected, weights = merged(tmp_path / "sum", base=seeded_base)
    assert config.weights_digest == expected.weights_digest
    _, found = read_model_folder(tmp_path / "model")
    assert all(np.array_equal(found[name], value) for name, value in weights.items())
    parts = config.source["sum_of"]
    assert [part["weight"] for part in parts] == [0.5, 0.5]
    assert parts[0]["adapter_digest"] == read_adapter(two[0])[0].adapter_digest


def test_sums_of_qlora_adapters_stay_qlora(make, tmp_path):
    folders = [make(seed, method="qlora", rank=2) for seed in (5, 6)]
    config = sum_adapters(folders, tmp_path / "sum", weights=(0.5, 0.5))
    assert (config.method, config.hyperparameters["rank"]) == ("qlora", 4)
    assert config.hyperparameters["quantization"] == "fp4"
    other = make(7, method="qlora", rank=2, quantization="nf4")
    with pytest.raises(InputError, match=r"quantization: found 'nf4', expected that of .*'fp4'"):
        sum_adapters([folders[0], other], tmp_path / "no", weights=(1, 1))
    with pytest.raises(InputError, match="found 'qlora' next to 'lora'"):
        sum_adapters([make(8, rank=2), folders[0]], tmp_path / "no", weights=(1, 1))


def test_a_new_method_can_be_summed_if_its_row_says_that_it_has_factors(
    make, tmp_path, monkeypatch
):
    monkeypatch.setitem(METHODS, "planted", METHODS["lora"])
    late = dataclasses.replace(METHODS["late_lora"], late_of="planted")
    monkeypatch.setitem(METHODS, "planted_late", late)
    folders = [make(1, method="planted", rank=2), make(2, method="planted_late", rank=3)]
    config = sum_adapters(folders, tmp_path / "sum", weights=(1, 1))
    assert (config.method, config.hyperparameters["rank"]) == ("planted", 5)
    without = dataclasses.replace(METHODS["lora"], factored=False)
    monkeypatch.setitem(METHODS, "planted", without)
    with pytest.raises(InputError, match="found 'planted'; sums are defined for the deltas of lor"):
        sum_adapters(folders, tmp_path / "no", weights=(1, 1))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ((1,), "expected 2 numbers, one for each adapter, found 1"),
        ((1, float("nan")), "expected finite numbers that are not all 0"),
        ((0, 0), "expected finite numbers that are not all 0"),
        ((1, -1), "add up to 0, but the base has no AIS decoder"),
    ],
)
def test_impossible_weights_are_refused(two, tmp_path, weights, message):
    with pytest.raises(InputError, match=message):
        sum_adapters(two, tmp_path / "sum", weights=weights)
    assert not list(tmp_path.iterdir())


def test_adapters_that_do_not_belong_together_are_refused(make, two, seeded_base, tmp_path):
    first, output = two[0], tmp_path / "sum"
    with pytest.raises(InputError, match="at least two adapters, found 1"):
        sum_adapters([first], output, weights=[1])
    ssf = make(11, method="ssf")
    with pytest.raises(InputError, match="method: found 'ssf'; sums are defined"):
        sum_adapters([first, ssf], output, weights=(1, 1))
    with pytest.raises(InputError, match="sums are defined for"):
        sum_adapters([ssf, ssf], output, weights=(1, 1))
    without = make(12, rank=2, ais=False)
    with pytest.raises(InputError, match=r"architecture\.ais_decoder: found None"):
        sum_adapters([first, without], output, weights=(1, 1))
    config, tensors = read_model_folder(seeded_base)
    other = {name: value * np.float32(1.01) for name, value in tensors.items()}
    wrong = tiny.write_weights(tmp_path / "wrong", config, other)
    with pytest.raises(WrongBaseError, match="only adapters over one base can be summed"):
        sum_adapters([first, make(13, rank=2, base=wrong)], output, weights=(1, 1))
    with pytest.raises(WrongBaseError, match="is not that of the base"):
        sum_adapters(two, output, weights=(1, 1), base=wrong)
    large = make(14, rank=1024)
    with pytest.raises(FormatError, match="rank: allowed is 1 to 1024, found 1026"):
        sum_adapters([first, large], output, weights=(1, 1))
    assert not output.exists()


def test_variances_that_would_be_negative_are_refused(make, tmp_path):
    config = dataclasses.replace(
        tiny.make_config("vit").architecture, ais_decoder=tiny.UNETR_DECODER
    )
    config = dataclasses.replace(tiny.make_config("vit"), architecture=config)
    shapes = tensor_shapes(config.architecture)
    tensors = tiny.seeded_weights(shapes)
    tensors = {n: np.array(3) if n.endswith("tracked") else v for n, v in tensors.items()}
    base = tiny.write_weights(tmp_path / "base", config, tensors)
    name = "ais_decoder.deconv1.block.2.running_var"
    change = {n: v for n, v in tensors.items() if n.startswith(AIS_DECODER_PREFIX)}
    many = {**change, name: tensors[name] * np.float32(5)}
    folders = [
        write_unetr(make, tmp_path / f"{seed}", base, values)
        for seed, values in ((1, change), (2, many))
    ]
    with pytest.raises(InputError, match="negative variances"):
        sum_adapters(folders, tmp_path / "sum", weights=(1, -1))
    sum_adapters(folders, tmp_path / "sum", weights=(0.5, 0.5))
    counter = read_adapter(tmp_path / "sum")[1]["ais_decoder.deconv1.block.2.num_batches_tracked"]
    assert counter == 3


def write_unetr(make, folder, base, ais):
    source = make(1, rank=1, ais=False, base=base)
    config, tensors = read_adapter(source)
    architecture = dataclasses.replace(config.architecture, ais_decoder=tiny.UNETR_DECODER)
    folder.mkdir()
    write_adapter(folder, dataclasses.replace(config, architecture=architecture),
                  {**tensors, **ais})  # fmt: skip
    return folder


def test_the_inputs_are_never_replaced(two, tmp_path):
    with pytest.raises(OutputExistsError, match="would replace the input"):
        sum_adapters(two, two[1], weights=(1, 1), force=True)
