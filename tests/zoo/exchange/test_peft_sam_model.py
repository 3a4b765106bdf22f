"""LoRA that peft trained over Hugging Face's ``SamModel``: read, with peft's own outputs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from samzoo.runtime.errors import FormatError, InputError
from samzoo.runtime.formats.adapter import read_adapter
from samzoo.runtime.formats.files import read_tensors, write_tensors
from samzoo.zoo.exchange.reading import read_foreign_adapter
from samzoo.zoo.merging.folding import merge

GOLDENS = Path(__file__).parents[2] / "goldens" / "peft_sam_model"

TOLERANCE = 1e-5
"""Of the largest value; float32 sums in another order. Measured: at most 2e-6."""

FUSED = ["q", "k", "v"]

READ = {
    "both": ("lora", {"rank": 3, "matrices": FUSED, "scale": 5 / 3, "blocks": None}),
    "all_linear": ("lora", {"rank": 3, "matrices": [*FUSED, "proj", "mlp"], "scale": 5 / 3**0.5}),
    "regex": ("lora", {"rank": 3, "matrices": [*FUSED, "mlp"]}),
    "late": ("lora", {"rank": 3, "matrices": [*FUSED, "proj"], "blocks": [1]}),
    "patterns": ("lora", {"rank": 5, "matrices": [*FUSED, "mlp"], "scale": 1.0}),
    "saved_parts": ("lora", {"rank": 3, "matrices": FUSED}),
    "convolution": ("lora", {"rank": 3, "matrices": FUSED}),
    "bias": ("freeze_encoder", {}),
}


@pytest.mark.torch
@pytest.mark.parametrize("name", READ)
def test_outputs_equal_those_of_peft_over_a_sam_model(name, seeded_base, tmp_path):
    torch = pytest.importorskip("torch")
    from samzoo.training.networks.sam import load_sam

    config = read_foreign_adapter(GOLDENS / name, tmp_path / "adapter", base=seeded_base)
    method, hyperparameters = READ[name]
    assert config.method == method
    assert hyperparameters.items() <= config.hyperparameters.items()
    merge(tmp_path / "adapter", tmp_path / "model", base=seeded_base)
    sam = load_sam(tmp_path / "model")
    with np.load(GOLDENS / "answers.npz") as answers, torch.no_grad():
        embeddings = sam.image_encoder(torch.from_numpy(answers["image"]))
        logits, iou = sam.decode(
            embeddings, boxes=torch.tensor([[5.0, 8.0, 40.0, 50.0]]), multimask_output=True,
            mask_input=torch.from_numpy(answers["mask_input"]),
        )  # fmt: skip
        found = {"embeddings": embeddings[:, ::16], "masks": logits[0], "iou": iou[0]}
        for kind, value in found.items():
            expected = answers[f"{name}/{kind}"]
            assert np.abs(value.numpy() - expected).max() <= TOLERANCE * np.abs(expected).max()


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("dora", FormatError, "'use_dora': found True, which is not a plain LoRA.*merge_and_unl"),
        ("neck", InputError, r"adapts the convolution 'image_encoder\.neck\.0'.*merge_and_unload"),
        ("pissa", FormatError, "init_lora_weights: found 'pissa', which changes the base"),
        ("embedding", FormatError, "is a LoRA on an embedding.*no effect in peft until it is mer"),
    ],
)
def test_what_no_adapter_can_hold_is_refused_by_name(name, error, message, seeded_base, tmp_path):
    with pytest.raises(error, match=message):
        read_foreign_adapter(GOLDENS / name, tmp_path / "adapter", base=seeded_base)
    assert not (tmp_path / "adapter").exists()


def test_an_adapter_of_the_vision_encoder_alone_is_read(seeded_base, tmp_path):
    folder = tmp_path / "late"
    shutil.copytree(GOLDENS / "late", folder)
    tensors = read_tensors(folder / "adapter_model.safetensors")
    short = {n.replace("vision_encoder.", ""): v for n, v in tensors.items()}
    write_tensors(folder / "adapter_model.safetensors", short, {})
    read_foreign_adapter(folder, tmp_path / "short", base=seeded_base)
    read_foreign_adapter(GOLDENS / "late", tmp_path / "long", base=seeded_base)
    one, two = read_adapter(tmp_path / "short")[1], read_adapter(tmp_path / "long")[1]
    assert all(np.array_equal(one[name], two[name]) for name in two)


def test_a_config_without_the_wrapped_class_is_understood_by_its_names(seeded_base, tmp_path):
    """peft writes no ``auto_mapping`` where a task type is given."""
    folder = tmp_path / "all"
    shutil.copytree(GOLDENS / "all_linear", folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "auto_mapping": None}))
    read_foreign_adapter(folder, tmp_path / "one", base=seeded_base)
    read_foreign_adapter(GOLDENS / "all_linear", tmp_path / "two", base=seeded_base)
    one, two = read_adapter(tmp_path / "one")[1], read_adapter(tmp_path / "two")[1]
    assert all(np.array_equal(one[name], two[name]) for name in two)


@pytest.mark.parametrize(
    ("named", "told"),
    [("facebook/sam-vit-huge", True), ("/home/a/sam", False), (None, False)],
)
def test_an_adapter_that_names_another_base_says_so(seeded_base, tmp_path, named, told):
    folder = tmp_path / "late"
    shutil.copytree(GOLDENS / "late", folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    config = {**config, "base_model_name_or_path": named, "fan_in_fan_out": True}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    notes = read_foreign_adapter(folder, tmp_path / "out", base=seeded_base).source["notes"]
    assert any("was trained over facebook/sam-vit-huge" in note for note in notes) == told
