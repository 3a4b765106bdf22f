"""Check by hand that other tools load what `write_checkpoint` writes, and compute the same.

Needs segment-anything, micro-sam 1.8.14 (with torch-em 0.10.9) and transformers 5.23.0 in an
environment of its own, see README.md beside this file, and samzoo on its path. A ViT-B SAM at full
size with random weights goes out in every format, is loaded strictly by each tool, decodes the same
prompts from one random embedding, and (with `--encoder`, a few minutes) encodes one image. Then
what the tools save themselves comes back in. Every number it prints is a largest difference
relative to the largest value; it stops at the first one that is too large.

    python tests/goldens/check_other_tools.py -o FOLDER [--encoder]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from micro_sam.instance_segmentation import get_predictor_and_decoder
from micro_sam.util import export_custom_sam_model, get_sam_model
from segment_anything import sam_model_registry
from torch_em.loss import DiceBasedDistanceLoss
from transformers import SamModel, SamProcessor

from samzoo.runtime.formats.architecture import Architecture, UnetrDecoderConfig
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.digest import weights_digest
from samzoo.runtime.formats.families.vit import VitConfig
from samzoo.runtime.formats.files import read_tensors, write_json, write_tensors
from samzoo.runtime.formats.shapes import tensor_shapes
from samzoo.training.networks.sam import load_sam
from samzoo.zoo.checkpoints.conversion import convert
from samzoo.zoo.checkpoints.writing import write_checkpoint

TOLERANCE = 1e-5
"""float32 sums in another order."""

UPSAMPLINGS = ("bilinear", "transposed")


def random_weights(architecture, seed):
    """Weights in which nothing is zero or one by chance, of sizes that keep signals in range."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, shape in tensor_shapes(architecture).items():
        noise = rng.standard_normal(shape, dtype=np.float32)
        if name.endswith("num_batches_tracked"):
            tensors[name] = np.array(7, np.int64)
        elif name.endswith("running_var"):
            tensors[name] = 0.5 + np.abs(noise)
        elif name.endswith("weight") and len(shape) == 1:
            tensors[name] = 1 + 0.2 * noise
        elif name.endswith("weight") and "embed" not in name.split(".")[-2]:
            tensors[name] = noise / np.float32(np.sqrt(np.prod(shape[1:])))
        else:
            tensors[name] = np.float32(0.3) * noise
    return tensors


def write_base(folder, upsampling, seed=0):
    decoder = UnetrDecoderConfig(upsampling=upsampling)
    architecture = Architecture(image_encoder=VitConfig(), ais_decoder=decoder)
    tensors = random_weights(architecture, seed)
    config = ModelConfig(architecture=architecture, weights_digest=weights_digest(tensors))
    folder.mkdir()
    write_tensors(folder / "model.safetensors", tensors, {})
    write_json(folder / "config.json", config.to_json())
    return folder


def report(what, found, expected):
    found, expected = found.detach().double(), expected.detach().double()
    assert found.shape == expected.shape, (what, found.shape, expected.shape)
    error = float((found - expected).abs().max() / expected.abs().max())
    print(f"{what}: {error:.1e}", flush=True)
    assert error <= TOLERANCE, what


def decode(sam, embedding):
    """Masks and IoU of a point and of a box, by segment-anything's modules."""
    results = []
    for points, boxes in (
        ((torch.tensor([[[300.0, 500.0]]]), torch.tensor([[1]])), None),
        (None, torch.tensor([[100.0, 200.0, 700.0, 650.0]])),
    ):
        sparse, dense = sam.prompt_encoder(points=points, boxes=boxes, masks=None)
        results += sam.mask_decoder(
            image_embeddings=embedding,
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )
    return results


def decode_huggingface(model, embedding):
    point = model(
        image_embeddings=embedding,
        input_points=torch.tensor([[[[300.0, 500.0]]]]),
        input_labels=torch.tensor([[[1]]]),
    )
    box = model(
        image_embeddings=embedding, input_boxes=torch.tensor([[[100.0, 200.0, 700.0, 650.0]]])
    )
    return [v[0] for out in (point, box) for v in (out.pred_masks, out.iou_scores)]


def compare(what, found, expected):
    names = ("masks of a point", "IoU of a point", "masks of a box", "IoU of a box")
    for name, a, b in zip(names, found, expected, strict=True):
        report(f"{what}, {name}", a, b)


class Setting:
    """Something that a trainer pickles beside its weights."""


def same_weights(a, b):
    return read_tensors(a / "model.safetensors").keys() == read_tensors(
        b / "model.safetensors"
    ).keys() and all(
        np.array_equal(v, w)
        for v, w in zip(
            read_tensors(a / "model.safetensors").values(),
            read_tensors(b / "model.safetensors").values(),
            strict=True,
        )
    )


@torch.no_grad()
def check(folder, *, encoder):
    generator = torch.Generator().manual_seed(1)
    embedding = torch.randn(1, 256, 64, 64, generator=generator)
    base = write_base(folder / "base", "transposed")
    ours = load_sam(base)
    expected = decode(ours, embedding)

    write_checkpoint(base, folder / "sam.pth", to="segment-anything")
    original = sam_model_registry["vit_b"](checkpoint=str(folder / "sam.pth")).eval()
    compare("segment-anything", decode(original, embedding), expected)

    write_checkpoint(base, folder / "hf", to="huggingface")
    theirs, loading = SamModel.from_pretrained(folder / "hf", output_loading_info=True)
    assert not any(loading.values()), loading
    theirs.eval()
    compare("transformers", decode_huggingface(theirs, embedding), expected)
    processor = SamProcessor.from_pretrained(folder / "hf")
    image = np.random.default_rng(2).integers(0, 256, (768, 1024, 3), dtype=np.uint8)
    pixels = processor(image, return_tensors="pt")["pixel_values"]
    mine = ours.preprocess(torch.from_numpy(image).permute(2, 0, 1)[None].float())
    report("transformers, processor", pixels, mine)
    if encoder:
        encoded = ours.image_encoder(mine)
        report("segment-anything, encoder", original.image_encoder(mine), encoded)
        report("transformers, encoder", theirs.get_image_embeddings(pixels), encoded)

    small = torch.randn(1, 256, 8, 8, generator=generator)
    for upsampling in UPSAMPLINGS:
        model = base if upsampling == "transposed" else write_base(folder / "light", upsampling, 3)
        combined = folder / f"{upsampling}.pt"
        write_checkpoint(model, combined, to="micro-sam")
        predictor, adapter = get_predictor_and_decoder("vit_b", str(combined), device="cpu")
        separate, alone = folder / f"{upsampling}_sam.pt", folder / f"{upsampling}_decoder.pt"
        write_checkpoint(model, separate, to="micro-sam", decoder=alone)
        _, state = get_sam_model(
            "vit_b", "cpu", str(separate), return_state=True, decoder_path=str(alone)
        )
        adapter_state = adapter.state_dict()
        assert all(torch.equal(adapter_state[k], v) for k, v in state["decoder_state"].items())
        mine = load_sam(model)
        compare(
            f"micro-sam, {upsampling}",
            decode(predictor.model, embedding),
            decode(mine, embedding),
        )
        report(f"micro-sam, {upsampling}, running", adapter.eval()._forward_impl(small),
               mine.ais_decoder(small))  # fmt: skip
        for module in mine.ais_decoder.modules():
            if hasattr(module, "of_batch"):
                module.of_batch = True
        report(f"micro-sam, {upsampling}, batch", adapter.train()._forward_impl(small),
               mine.ais_decoder(small))  # fmt: skip

    # And back.
    theirs.save_pretrained(folder / "hf_theirs")
    processor.save_pretrained(folder / "hf_theirs")
    sam_only = convert(folder / "sam.pth", folder / "back_sam")
    for name, checkpoint, decoder, reference in (
        ("transformers", "hf_theirs", None, sam_only),
        ("micro-sam, combined", "transposed.pt", None, base),
        ("micro-sam, separate", "transposed_sam.pt", "transposed_decoder.pt", base),
    ):
        decoder_path = folder / decoder if decoder else None
        back = convert(folder / checkpoint, folder / f"back_{checkpoint}", decoder=decoder_path)
        assert same_weights(back, reference), name
        print(f"{name}: back, equal")
    state = torch.load(folder / "transposed.pt", weights_only=True)
    trained = {
        "model_state": {f"sam.{name}": value for name, value in state["model_state"].items()},
        "decoder_state": state["decoder_state"],
        "init": {
            "loss": DiceBasedDistanceLoss(mask_distances_in_bg=True),
            "setting": Setting(),
            "class": Setting,
        },
        "optimizer_state": {"state": {0: {"step": torch.tensor(3.0)}}},
        "best_metric": np.float64(0.5),
        "iteration": 10,
    }
    torch.save(trained, folder / "best.pt")
    assert same_weights(convert(folder / "best.pt", folder / "back_trainer"), base)
    export_custom_sam_model(folder / "best.pt", "vit_b", folder / "exported.pt", True)
    assert same_weights(convert(folder / "exported.pt", folder / "back_exported"), base)
    print("micro-sam, trainer and its export: back, equal")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="an empty folder")
    parser.add_argument("--encoder", action="store_true", help="also encode one image")
    options = parser.parse_args()
    check(options.output, encoder=options.encoder)
