"""Make the golden files of the checkpoint formats and of micro-sam's AIS decoder.

Needs torch-em 0.10.9, micro-sam 1.8.14 and transformers 5.23.0 in an environment of its own; see
README.md beside this file. Run by hand; the tests need none of these packages.

unetr_decoder.npz
    Outputs of torch-em's `UNETR` (as micro-sam builds it, with a sigmoid) after the image encoder,
    for both ways of upsampling, in eval mode (`running`) and training mode (`batch`). Its weights
    are not stored: `random_decoder` makes them again from the names and shapes, in sorted order,
    with NumPy's default generator. Keys: `embedding` float32 (1, 256, 3, 2), and
    `{upsampling}_{mode}` float32 (1, 3, 48, 32).

huggingface_sam.json
    A tiny `SamModel` of transformers as it saves itself: `config` (its `config.json`), `names`
    (shapes of the tensors in `model.safetensors`) and `processor` (its `processor_config.json`).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from micro_sam.instance_segmentation import DecoderAdapter
from safetensors import safe_open
from torch_em.model import UNETR
from transformers import SamConfig, SamImageProcessor, SamModel, SamProcessor


def random_decoder(shapes, seed=0):
    """Weights of a decoder from names and shapes; tests repeat this."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for name in sorted(shapes):
        noise = rng.standard_normal(shapes[name]).astype(np.float32)
        if name.endswith("num_batches_tracked"):
            tensors[name] = np.array(7, np.int64)
        elif name.endswith("running_var"):
            tensors[name] = 0.5 + np.abs(noise)
        elif name.endswith("weight"):
            fan_in = max(1, int(np.prod(shapes[name][1:])))
            tensors[name] = noise / np.float32(np.sqrt(fan_in)) + np.float32(len(shapes[name]) == 1)
        else:
            tensors[name] = np.float32(0.3) * noise
    return tensors


class Encoder(torch.nn.Module):
    """Enough of an image encoder for `UNETR` to be built: it asks for channels only."""

    img_size = 1024

    def __init__(self):
        super().__init__()
        self.patch_embed = torch.nn.Module()
        self.patch_embed.proj = torch.nn.Conv2d(3, 8, 16)
        self.neck = torch.nn.Sequential(
            torch.nn.Conv2d(8, 256, 1), torch.nn.Identity(), torch.nn.Conv2d(256, 256, 3)
        )


@torch.no_grad()
def unetr_decoder(path):
    embedding = np.random.default_rng(5).standard_normal((1, 256, 3, 2)).astype(np.float32)
    arrays = {"embedding": embedding}
    for upsampling in ("bilinear", "transposed"):
        unetr = UNETR(
            backbone="sam", encoder=Encoder(), out_channels=3, use_sam_stats=True,
            final_activation="Sigmoid", use_skip_connection=False, resize_input=True,
            use_conv_transpose=upsampling == "transposed",
        )  # fmt: skip
        adapter = DecoderAdapter(unetr)
        shapes = {name: tuple(value.shape) for name, value in adapter.state_dict().items()}
        state = {n: torch.from_numpy(np.array(v)) for n, v in random_decoder(shapes).items()}
        adapter.load_state_dict(state)
        for mode in ("running", "batch"):
            adapter.train(mode == "batch")
            adapter.load_state_dict(state)  # training mode moves the running statistics
            maps = adapter._forward_impl(torch.from_numpy(embedding))
            arrays[f"{upsampling}_{mode}"] = maps.numpy()
    np.savez_compressed(path, **arrays)


def huggingface_sam(path):
    config = SamConfig(
        vision_config={
            "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 64,
            "patch_size": 8, "window_size": 3, "global_attn_indexes": [1], "mlp_dim": 64,
            "mlp_ratio": 2.0, "num_pos_feats": 128, "output_channels": 256,
        },
        prompt_encoder_config={"image_size": 64, "patch_size": 8},
        mask_decoder_config={"mlp_dim": 64},
    )  # fmt: skip
    size = {"height": 64, "width": 64}
    processor = SamImageProcessor(
        size={"longest_edge": 64}, pad_size=size, mask_size={"longest_edge": 32},
        mask_pad_size={"height": 32, "width": 32},
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        SamModel(config).save_pretrained(folder)
        SamProcessor(processor).save_pretrained(folder)
        with safe_open(f"{folder}/model.safetensors", "np") as file:
            names = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}
        read = {
            key: json.loads(Path(folder, name).read_text())
            for key, name in (("config", "config.json"), ("processor", "processor_config.json"))
        }
    lines = [json.dumps({name: names[name]})[1:-1] for name in sorted(names)]
    text = ",\n".join(
        f'"{key}": {json.dumps(value, sort_keys=True)}' for key, value in read.items()
    )
    path.write_text("{" + text + ',\n"names": {\n' + ",\n".join(lines) + "\n}}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent)
    folder = parser.parse_args().output
    unetr_decoder(folder / "unetr_decoder.npz")
    huggingface_sam(folder / "huggingface_sam.json")
