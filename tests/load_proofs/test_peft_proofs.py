"""peft over a ``SamModel``, both ways, by peft's own code; see README.md beside this file."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import tiny
from environments import CannotInstall, python_environment
from tools import PEFT

from samzoo.runtime.errors import SamzooError
from samzoo.runtime.formats.shapes import tensor_shapes
from samzoo.zoo import write_checkpoint
from samzoo.zoo.exchange.reading import read_foreign_adapter
from samzoo.zoo.exchange.writing import write_foreign_adapter

pytest.importorskip("torch")
pytestmark = [pytest.mark.tools, pytest.mark.torch]

REFUSED = {"dora", "neck", "neck_saved", "bias_encoder", "pissa", "embedding"}

WITHOUT_ENCODER = {"mask_decoder", "bias"}
"""They become adapters without LoRA, since that of the mask decoder is folded; peft folders hold
LoRA only."""

TOLERANCE = 1e-5
"""Of the largest value. Measured: at most 1e-6."""


def run(*arguments):
    try:
        python = python_environment(*PEFT.requirements, complete=PEFT.complete)
    except CannotInstall as error:
        pytest.skip(f"peft cannot be installed here: {error}")
    script = Path(__file__).parent / PEFT.script
    subprocess.run([python, script, *map(str, arguments)], check=True, timeout=600)


def test_adapters_of_peft_come_in_and_go_out_with_the_same_outputs(tmp_path):
    config = tiny.make_config("vit", ais=False, wider=True)
    weights = tiny.seeded_weights(tensor_shapes(config.architecture))
    base = tiny.write_weights(tmp_path / "base", config, weights)
    write_checkpoint(base, tmp_path / "sam", to="huggingface")
    run("make", tmp_path / "sam", tmp_path)
    with np.load(tmp_path / "answers.npz") as file:
        expected = dict(file)
    names = {key.split("/")[0] for key in expected}
    assert names >= REFUSED | WITHOUT_ENCODER
    refused, written = set(), []
    for name in sorted(names):
        try:
            read_foreign_adapter(tmp_path / name, tmp_path / "adapters" / name, base=base)
        except SamzooError:  # test_peft_sam_model.py has the messages
            refused.add(name)
            continue
        if name not in WITHOUT_ENCODER:
            write_foreign_adapter(
                tmp_path / "adapters" / name, tmp_path / "written" / name, to="peft"
            )
            written.append(name)
    assert refused == REFUSED
    (tmp_path / "loaded").mkdir()
    run("load", tmp_path / "sam", tmp_path / "loaded", *(tmp_path / "written" / n for n in written))
    with np.load(tmp_path / "loaded" / "answers.npz") as found:
        for name in written:
            for kind in ("embeddings", "masks", "iou"):
                value, wanted = found[f"{name}/{kind}"], expected[f"{name}/{kind}"]
                assert np.abs(value - wanted).max() <= TOLERANCE * np.abs(wanted).max()
