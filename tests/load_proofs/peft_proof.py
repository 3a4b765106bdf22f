"""LoRA of Hugging Face's peft over a SamModel: trained folders out of it, written ones into it.

``python peft_proof.py make SAM_MODEL_FOLDER OUT`` saves for each case a LoRA with random factors,
as training would leave it, and what the wrapped model answers to a seeded image. With ``load
SAM_MODEL_FOLDER OUT FOLDER...`` it loads folders that samzoo wrote, and warnings are errors. The
answers are in ``OUT/answers.npz``.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import peft
import torch
from transformers import SamModel

CASES = {
    "qkv": {"target_modules": ["qkv"]},
    "list": {"target_modules": ["qkv", "proj", "lin1", "lin2"], "lora_dropout": 0.3},
    "mask_decoder": {"target_modules": ["q_proj", "v_proj"]},
    "both": {"target_modules": ["qkv", "q_proj", "v_proj"]},
    "all_linear": {"target_modules": "all-linear", "use_rslora": True},
    "regex": {"target_modules": r"vision_encoder\.layers\.\d+\.(attn\.qkv|mlp\.lin[12])"},
    "late": {
        "target_modules": ["qkv", "proj"], "layers_to_transform": [1], "layers_pattern": "layers",
    },
    "patterns": {
        "target_modules": ["qkv", "lin1", "q_proj"],
        "rank_pattern": {r"layers\.0\.attn\.qkv": 2, "lin1": 5},
        "alpha_pattern": {r".*layers\.[1-9]\.attn\.qkv": 3, "lin1": 11},
    },
    "saved": {"target_modules": ["qkv"], "modules_to_save": ["mask_decoder"]},
    "saved_parts": {
        "target_modules": ["qkv"],
        "modules_to_save": ["iou_prediction_head", "mask_tokens", "upscale_conv1"],
    },
    "saved_prompts": {"target_modules": ["qkv"], "modules_to_save": ["prompt_encoder"]},
    "convolution": {"target_modules": ["qkv", "mask_embed.conv1", "mask_embed.conv3"]},
    "bias": {"target_modules": ["q_proj"], "bias": "lora_only"},
    "dora": {"target_modules": ["qkv"], "use_dora": True},
    "neck": {"target_modules": ["qkv", "neck.conv1"]},
    "neck_saved": {"target_modules": ["qkv"], "modules_to_save": ["neck"]},
    "bias_encoder": {"target_modules": ["qkv"], "bias": "all"},
    "pissa": {"target_modules": ["qkv"], "init_lora_weights": "pissa"},
    "embedding": {"target_modules": ["qkv", "mask_tokens"]},
}  # fmt: skip
"""By name: the settings beside rank and alpha. The last seven cannot be adapters of samzoo."""


@torch.no_grad()
def randomise(model):
    """Give everything that trains a value that is not zero or one by chance."""
    generator = torch.Generator().manual_seed(3)
    for name, value in model.named_parameters():
        if value.requires_grad and "positional_embedding" not in name:
            noise = torch.randn(value.shape, generator=generator)
            fan = value[0].numel() if value.ndim > 1 else 1
            value.add_(0.3 * noise / fan**0.5)


@torch.no_grad()
def answers(model):
    """Return embeddings, masks and predicted IoU for a seeded image, a box and a mask."""
    size = model.config.vision_config.image_size
    generator = torch.Generator().manual_seed(7)
    image = torch.randn((1, 3, size, size), generator=generator)
    embeddings = model.get_image_embeddings(image)
    side = 4 * model.config.prompt_encoder_config.image_embedding_size
    mask = torch.randn((1, 1, side, side), generator=generator)
    found = model(
        image_embeddings=embeddings,
        input_masks=mask,
        input_boxes=torch.tensor([[[5.0, 8.0, 40.0, 50.0]]]),
        multimask_output=True,
    )
    return {
        "image": image.numpy(),
        "mask_input": mask.numpy(),
        "embeddings": embeddings.numpy(),
        "masks": found.pred_masks[0, 0].numpy(),
        "iou": found.iou_scores[0, 0].numpy(),
    }


def main():
    command, folder, out, *written = sys.argv[1:]
    found = {}
    if command == "make":
        for name, options in CASES.items():
            model = SamModel.from_pretrained(folder).eval()
            options = {"r": 3, "lora_alpha": 5, **options}
            model = peft.get_peft_model(model, peft.LoraConfig(**options)).eval()
            randomise(model)
            model.save_pretrained(Path(out) / name)
            found |= {f"{name}/{kind}": v for kind, v in answers(model).items()}
    for path in written:
        model = SamModel.from_pretrained(folder).eval()
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # such as missing keys
            warnings.filterwarnings("ignore", category=FutureWarning)
            model = peft.PeftModel.from_pretrained(model, path).eval()
        found |= {f"{Path(path).name}/{kind}": v for kind, v in answers(model).items()}
    np.savez(Path(out) / "answers.npz", **found)


if __name__ == "__main__":
    main()
