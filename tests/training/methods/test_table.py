"""What the rows of the table declare, and that they agree with each other."""

import dataclasses

import pytest

from samzoo.runtime.errors import FormatError, InputError
from samzoo.runtime.formats.fields import to_json
from samzoo.training.methods import METHODS
from samzoo.training.methods.adaptformer import AdaptFormerSettings
from samzoo.training.methods.fact import FactSettings
from samzoo.training.methods.lora import LoraSettings
from samzoo.training.methods.qlora import QloraSettings
from samzoo.training.methods.ssf import SsfSettings
from samzoo.training.methods.table import (
    factored_methods,
    factored_settings,
    late_form,
    quantized_form,
    usual_form,
)


def test_forms_are_rows_that_differ_in_what_they_declare_alone():
    late = {name: row.late_of for name, row in METHODS.items() if row.late_of is not None}
    assert sorted(late) == ["late_full", "late_lora", "late_qlora"]
    for name, of in late.items():
        row, usual = METHODS[name], METHODS[of]
        assert (type(usual.defaults), usual.fold) == (type(row.defaults), row.fold), name
        assert (usual.factored, usual.selective) == (row.factored, row.selective), name
        assert (usual.defaults.blocks, row.defaults.blocks) == (None, "late"), name
    for name, row in METHODS.items():
        if row.quantized is not None:
            plain = METHODS[row.quantized.of]
            assert plain.quantized is None, name
            assert (plain.trainable, plain.fold) == (row.trainable, row.fold), name
            settings = to_json(row.defaults)
            assert to_json(plain.defaults).items() <= settings.items(), name


def test_names_of_forms_are_found_both_ways():
    assert factored_methods() == ("lora", "late_lora", "qlora", "late_qlora")
    assert [usual_form(name) for name in ("late_full", "late_qlora", "ssf")] == [
        "full", "qlora", "ssf",
    ]  # fmt: skip
    assert [late_form(name) for name in ("full", "qlora", "ssf")] == [
        "late_full", "late_qlora", "ssf",
    ]  # fmt: skip
    assert [quantized_form(name) for name in ("lora", "late_lora", "ssf")] == [
        "qlora", "late_qlora", "ssf",
    ]  # fmt: skip
    with pytest.raises(InputError, match="unknown method 'late_ssf'"):
        usual_form("late_ssf")


def test_settings_of_factors_are_those_of_lora_or_refused():
    assert factored_settings("late_lora", {"rank": 3}) == LoraSettings(
        rank=3, matrices=("q", "k", "v", "mlp"), blocks="late"
    )
    with pytest.raises(InputError, match=r"a: method: found 'ssf', .*: lora, late_lora, qlora"):
        factored_settings("ssf", {}, where="a")


HYPERPARAMETERS = {
    "lora": ["rank", "matrices", "scale", "mask_decoder_rank", "blocks"],
    "qlora": ["rank", "matrices", "scale", "mask_decoder_rank", "blocks", "quantization"],
    "adaptformer": ["projection", "alpha", "dropout", "init", "blocks"],
    "ssf": ["init", "blocks"],
    "fact": ["rank", "dropout", "shared", "init", "blocks"],
    "freeze_encoder": [],
}
"""Names and order as adapters have stored them since their format's first version."""


@pytest.mark.parametrize("name", METHODS)
def test_settings_are_written_and_read_as_adapters_hold_them(name):
    row = METHODS[name]
    value = to_json(row.defaults)
    assert list(value) == HYPERPARAMETERS.get(usual_form(name), ["blocks"])
    assert row.settings(value) == row.defaults
    assert hash(row.defaults) == hash(row.settings({}))


def test_an_adapter_written_before_an_option_was_there_reads_with_its_default():
    old = {"rank": 2, "matrices": ["q"], "scale": 1.0}
    assert METHODS["lora"].settings(old) == LoraSettings(rank=2, matrices=("q",))


def test_where_no_object_stands_is_an_error():
    with pytest.raises(FormatError, match="run: hyperparameters: expected an object, found 3"):
        METHODS["lora"].settings(3, where="run")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (LoraSettings, {"rank": True}, "rank: expected int, found True"),
        (LoraSettings, {"rank": 0}, "rank: allowed is 1 to 1024, found 0"),
        (LoraSettings, {"matrices": ("q", "w")}, r"matrices\[1\]: found 'w', allowed: 'q', "),
        (QloraSettings, {"quantization": "int8"}, "quantization: found 'int8', allowed: 'fp4'"),
        (FactSettings, {"dropout": 1.0}, "dropout: allowed is 0 to below 1, found 1.0"),
        (AdaptFormerSettings, {"alpha": "no"}, "alpha: found 'no', allowed: 'learned', a fin"),
        (SsfSettings, {"blocks": (1, 0)}, "blocks: allowed is null"),
    ],
)
def test_settings_made_in_python_are_checked_as_those_of_a_file(kind, given, message):
    with pytest.raises(FormatError, match=f"hyperparameters.{message}"):
        kind(**given)


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        LoraSettings().rank = 3  # type: ignore[misc]
