"""The methods as rows: a row of the table needs nothing else to be listed."""

import dataclasses

from samzoo.training.methods import METHODS
from samzoo.training.methods.lora import LoraSettings
from samzoo.zoo.reports.methods_listing import ARCHITECTURES, method_rows, method_table


def test_a_new_method_is_listed_with_what_it_declares(monkeypatch):
    row = dataclasses.replace(
        METHODS["lora"],
        formula="W * W",
        placement="in the heart of it",
        defaults=LoraSettings(rank=1, blocks=(0,)),
        folds=False,
    )
    monkeypatch.setitem(METHODS, "planted", row)
    found = method_rows(ARCHITECTURES["vit_b"])[-1]
    assert (found["method"], found["formula"], found["folds"]) == ("planted", "W * W", False)
    # Rank 1 on q and v of one block: an A and a B of 768 numbers for each.
    assert found["trainable_in_image_encoder"] == 4 * 768
    assert found["hyperparameters"] == {
        "rank": 1, "matrices": ["q", "v"], "scale": 1.0, "mask_decoder_rank": 0, "blocks": [0],
    }  # fmt: skip
    last = method_table(ARCHITECTURES["vit_b"]).splitlines()[-1]
    assert last.split()[0] == "planted"
    assert last.endswith("in the heart of it")
