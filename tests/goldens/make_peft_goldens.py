"""Make `peft.npz`: the image embeddings that micro-sam's PEFT modules give.

This script needs micro-sam 1.8.14 and segment-anything, is run by hand, and is imported by nothing;
see README.md beside this file. The network is a tiny `ImageEncoderViT` (48 channels, 4 blocks, of
which 1 and 3 attend globally, windows of 3 on a grid of 4, so that they are padded). All weights,
those of the PEFT modules included, come from `seeded`: the seed is the CRC-32 of the tensor's name
in samzoo, so the tests make the same weights by name and the file need not hold them. No weight is
zero or one by chance.

For each case, `PEFT_Sam` changes the network, every tensor gets its weights, and the embeddings of
one seeded image are stored, float32 (256, 4, 4), together with the names of the parameters that
train, as a JSON list of samzoo's names.
"""

import argparse
import json
import re
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import torch
from micro_sam.models import peft_sam
from segment_anything.modeling import ImageEncoderViT

LATE = [2, 3]
CASES = {
    "lora": (peft_sam.LoRASurgery, {"rank": 3}),
    "lora_all": (
        peft_sam.LoRASurgery,
        {"rank": 3, "update_matrices": ["q", "k", "v", "mlp"]},
    ),
    "late_lora": (
        peft_sam.LoRASurgery,
        {
            "rank": 3,
            "update_matrices": ["q", "k", "v", "mlp"],
            "attention_layers_to_update": LATE,
        },
    ),
    "fact": (peft_sam.FacTSurgery, {"rank": 3}),
    "ssf": (peft_sam.SSFSurgery, {"rank": 2}),
    "adaptformer": (peft_sam.AdaptFormer, {"rank": 2, "projection_size": 5}),
    "adaptformer_fixed": (
        peft_sam.AdaptFormer,
        {"rank": 2, "projection_size": 5, "alpha": 0.5},
    ),
    "attention": (peft_sam.AttentionSurgery, {}),
    "bias": (peft_sam.BiasSurgery, {}),
    "layernorm": (peft_sam.LayerNormSurgery, {}),
    "late_full": (peft_sam.ClassicalSurgery, {"attention_layers_to_update": LATE}),
}

RENAMES = (
    (r"\.qkv_proj\.", "."),
    (r"\.mlp_layer\.", "."),
    (r"\.mlp_proj\.", "."),
    (r"\.layer\.", "."),
    (r"\.w_([ab])_linear_([qkv])\.weight$", r".lora_\1.\2"),
    (r"\.w_([ab])_linear_([12])\.weight$", r".lin\2.lora_\1.lin\2"),
    (r"\.FacT([uv])\.weight$", r".fact_\1"),
    (r"\.([qv])_FacTs\.weight$", r".fact_s.\1"),
    (r"\.(down|up)_proj\.", r".adaptformer_\1."),
    (r"\.mlp\.alpha$", ".mlp.adaptformer_alpha"),
    (r"\.(scale|shift)$", r".ssf_\1"),
)
"""From micro-sam's names in the encoder to samzoo's."""


def renamed(name):
    for pattern, replacement in RENAMES:
        name = re.sub(pattern, replacement, name)
    return name


def seeded(name, shape):
    """A tensor's weights: uniform, of about unit gain, and around 1 for scales and norms."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    values = 2.0 * rng.random(shape) - 1.0
    if len(shape) > 1:
        values *= (3.0 / np.prod(shape[1:])) ** 0.5
    elif name.endswith(("weight", "ssf_scale", "adaptformer_alpha")):
        values = 1.0 + 0.5 * values
    else:
        values *= 0.5
    return values.astype(np.float32)


class Holder(torch.nn.Module):
    """What PEFT_Sam needs of a Sam."""

    def __init__(self):
        super().__init__()
        self.image_encoder = ImageEncoderViT(
            img_size=32, patch_size=8, embed_dim=48, depth=4, num_heads=4, mlp_ratio=2.0,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), qkv_bias=True, use_rel_pos=True,
            window_size=3, global_attn_indexes=(1, 3), out_chans=256,
        )  # fmt: skip


def make_peft():
    image = torch.from_numpy(seeded("image", (1, 3, 32, 32)))
    arrays = {"image": image.numpy()}
    for case, (module, arguments) in CASES.items():
        encoder = peft_sam.PEFT_Sam(Holder(), peft_module=module, **arguments).sam.image_encoder
        encoder.eval()
        with torch.no_grad():
            for name, value in encoder.named_parameters():
                value.copy_(torch.from_numpy(seeded(renamed(name), tuple(value.shape))))
            arrays[case] = encoder(image)[0].numpy()
        trained = sorted(renamed(n) for n, p in encoder.named_parameters() if p.requires_grad)
        arrays[f"{case}_trained"] = np.array(json.dumps(trained))
    return arrays


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent)
    folder = parser.parse_args().output
    np.savez_compressed(folder / "peft.npz", **make_peft())
    print(folder / "peft.npz", (folder / "peft.npz").stat().st_size, "bytes")
