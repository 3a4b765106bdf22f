"""Every method from training to a merged model: two steps of a tiny SAM."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import tiny

from samzoo.runtime.formats.config import Preprocessing
from samzoo.runtime.formats.fields import to_json
from samzoo.training import METHODS, read_adapter
from samzoo.training.config import TrainConfig

torch = pytest.importorskip("torch")
nn = torch.nn
pytest.importorskip("lightning_fabric")
pytestmark = pytest.mark.torch

from samzoo.training.data.annotated import Annotated  # noqa: E402
from samzoo.training.fit import loop as fit  # noqa: E402
from samzoo.training.fit.run import Run  # noqa: E402
from samzoo.training.networks.sam import load_sam  # noqa: E402
from samzoo.zoo.merging.folding import merge  # noqa: E402

TOLERANCE = 1e-5
"""Relative to the largest value; see ``test_methods_fold.py``."""

CONFIG = TrainConfig(
    epochs=1,
    steps_per_epoch=2,
    early_stopping=0,
    # Fast, so that the encoder's part of the adapter is not lost in rounding.
    learning_rate=0.05,
    ais_learning_rate=1e-2,
    n_objects=2,
    n_sub_iteration=2,
    ais_decoder=tiny.AIS_DECODER,
    search_ais=False,
    validation_tasks=("ais",),
    preprocessing=Preprocessing(scale=1.0),
)

CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    **{
        f"vit-{name}": ("vit", name, {})
        for name in METHODS
        if name not in ("freeze_encoder", "full", "lora", "qlora", "late_qlora")
    },
    "vit-lora-mask-decoder": ("vit", "lora", {"rank": 2, "mask_decoder_rank": 3, "scale": 0.5}),
    "vit-fact-shared": ("vit", "fact", {"rank": 2, "shared": True, "init": "identity"}),
    "tiny_vit-adaptformer": ("tiny_vit", "adaptformer", {"alpha": 0.5, "dropout": 0.1}),
    "tiny_vit-fact-shared": ("tiny_vit", "fact", {"rank": 2, "shared": True}),
    "tiny_vit-ssf": ("tiny_vit", "ssf", {"init": "identity", "blocks": [1, 3]}),
    "tiny_vit-attention": ("tiny_vit", "attention", {"blocks": "late"}),
}
"""Those that ``test_fit.py`` and the tests of QLoRA leave out."""


@pytest.fixture(scope="module", params=CASES)
def trained(request, tmp_path_factory):
    """Method, base folder, adapter folder, and the run as it was when it ended."""
    encoder, method, given = CASES[request.param]
    folder, found, finish = tmp_path_factory.mktemp("methods"), [], Run.finish
    base = tiny.write_base(folder / "base", tiny.make_sam(tiny.make_config(encoder)))

    def remember(run):
        found.append(run)
        return finish(run)

    cells = [tiny.make_cells((64, 64), seed) for seed in (0, 1)]
    images = [Annotated(image, labels, "cells") for image, labels in cells]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "finish", remember)
        fit.train(
            base=base,
            train_data=images[:1],
            val_data=images[1:],
            method=method,
            config=dataclasses.replace(CONFIG, hyperparameters=given),
            output=folder / "run",
        )
    return method, base, folder / "run", found[0]


def embed(sam):
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    with torch.no_grad():
        return sam.embed(image)


def test_the_merged_model_is_the_network_that_was_trained(trained, tmp_path):
    method, base, adapter, run = trained
    merge(adapter, tmp_path / "model")
    merged, expected = load_sam(tmp_path / "model"), embed(run.sam)
    assert float((embed(load_sam(base)) - expected).abs().max()) > 0.01
    scale = float(expected.abs().max())
    assert float((embed(merged) - expected).abs().max()) <= TOLERANCE * scale
    extended = merged.config.architecture.image_encoder.adaptformer is not None
    assert extended == (method == "adaptformer")
    prompt = torch.tensor([[8.0, 8.0, 40.0, 40.0]])
    with torch.no_grad():
        ours, theirs = (
            sam.decode(expected, boxes=prompt, multimask_output=False)[0]
            for sam in (merged, run.sam)
        )
    assert float((ours - theirs).abs().max()) <= TOLERANCE * float(theirs.abs().max())


def test_the_adapter_holds_plain_decoders_and_the_blocks_that_were_meant(trained):
    method, _, adapter, run = trained
    config, tensors = read_adapter(adapter)
    assert config.method == method
    blocks = config.hyperparameters["blocks"]
    assert blocks is None or all(type(index) is int for index in blocks)
    assert config.hyperparameters == to_json(run.method_settings)
    assert not [n for n in tensors if n.startswith("mask_decoder.") and "lora" in n]
    if method == "adaptformer":
        alphas = [value for name, value in tensors.items() if name.endswith("adaptformer_alpha")]
        assert alphas
        if config.hyperparameters["alpha"] != "learned":
            assert all(value == np.float32(0.5) for value in alphas)


@pytest.mark.parametrize("trained", ["vit-lora-mask-decoder"], indirect=True)
def test_factors_of_the_mask_decoder_train_and_its_linear_layers_stay(trained):
    _, base, _, run = trained
    before = load_sam(base).mask_decoder.state_dict()
    after = run.sam.mask_decoder.state_dict()
    for name, value in before.items():
        # A bias of keys adds the same to all scores of a query: the softmax does not see it.
        unseen = name == "transformer.final_attn_token_to_image.k_proj.bias"
        embeds = name.endswith(("_token.weight", "_tokens.weight"))
        stays = (value.ndim == 2 and not embeds) or unseen
        assert torch.equal(value, after[name]) == stays, name
    factors = {name: value for name, value in after.items() if ".lora_b." in name}
    linear = [n for n, m in run.sam.mask_decoder.named_modules() if isinstance(m, nn.Linear)]
    assert len(factors) == len(linear)
    # The masks that no prompt of this short run asked for learned nothing.
    learned = [name for name, value in factors.items() if value.any()]
    assert {name for name in factors if "hypernetworks" not in name} <= set(learned)
    assert any("hypernetworks" in name for name in learned)


@pytest.mark.parametrize("trained", ["vit-adaptformer", "tiny_vit-adaptformer"], indirect=True)
def test_a_model_with_bypasses_is_exported_to_onnx(trained, tmp_path):
    pytest.importorskip("onnx")
    from samzoo.runtime import load
    from samzoo.zoo.packages.assembly import export

    _, _, adapter, run = trained
    export(adapter, tmp_path / "package")
    image = tiny.make_cells((64, 64), 3)[0]
    found = load(tmp_path / "package").embed(image).values
    pixels = torch.from_numpy(np.repeat(image[None, None], 3, axis=1).astype(np.float32))
    with torch.no_grad():
        expected = run.sam.embed(pixels).numpy()
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
