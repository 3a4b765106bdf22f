"""Makes the goldens of adapters from elsewhere: micro-sam's own modules, and Hugging Face's peft.

Everything is the tiny ViT of ``tests/tiny.py`` with seeded weights (``tiny.seeded_weights``), so
that the files hold names, shapes and results only.

- ``micro_sam_names.json``: for each method the arguments of ``PEFT_Sam``, and of each tensor of its
  image encoder the shape and, for a frozen one, the name it had before. Which tensor is which is
  told by the identity of the parameters, not by names.
- ``micro_sam_embeddings.npz``: image embeddings (every 16th channel) of these networks, whose
  trained tensors got seeded values by micro-sam's names; and what bitsandbytes packed for QLoRA.
- ``peft_*``: LoRA folders that peft saved, with seeded factors, and their embeddings in
  ``peft_embeddings.npz``.

With ``--check FOLDER BASE MODEL`` it loads a folder that samzoo wrote for peft (``--to
peft-segment-anything``) into ``PeftModel``, with ``--check-micro-sam FILE BASE MODEL KWARGS`` a
checkpoint that samzoo wrote into ``PEFT_Sam``,
and prints the difference to the model that samzoo merged. Measured in November 2026, largest
difference over largest value: peft at most 5.8e-7, micro-sam at most 6.8e-7.

By hand, in an environment with micro-sam 1.8.14, peft 0.21.2, bitsandbytes 0.50.2 and samzoo.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))
import tiny  # noqa: E402

LORA_ALL = ["q", "k", "v", "mlp"]
METHODS = {
    "lora_qv": {"peft_module": "LoRASurgery", "rank": 3},
    "lora_all": {"peft_module": "LoRASurgery", "rank": 2, "update_matrices": LORA_ALL},
    "lora_k_mlp": {"peft_module": "LoRASurgery", "rank": 2, "update_matrices": ["k", "mlp"]},
    "lora_late": {
        "peft_module": "LoRASurgery", "rank": 2, "update_matrices": LORA_ALL,
        "attention_layers_to_update": [1],
    },
    "fact": {"peft_module": "FacTSurgery", "rank": 3},
    "adaptformer": {"peft_module": "AdaptFormer", "projection_size": 5},
    "adaptformer_fixed": {
        "peft_module": "AdaptFormer", "projection_size": 5, "alpha": 0.5,
        "attention_layers_to_update": [0],
    },
    "ssf": {"peft_module": "SSFSurgery"},
    "attention": {"peft_module": "AttentionSurgery"},
    "bias": {"peft_module": "BiasSurgery"},
    "layernorm": {"peft_module": "LayerNormSurgery", "attention_layers_to_update": [1]},
    "late_full": {"peft_module": "ClassicalSurgery", "attention_layers_to_update": [1]},
    "qlora": {"peft_module": "LoRASurgery", "rank": 3, "quantize": True},
    "qlora_late": {
        "peft_module": "LoRASurgery", "rank": 2, "update_matrices": LORA_ALL, "quantize": True,
        "attention_layers_to_update": [1],
    },
}  # fmt: skip

TARGETS = {
    # Names at the end of a layer's, as people write them.
    "peft_qkv": {"r": 4, "lora_alpha": 8, "target_modules": ["qkv"]},
    "peft_all": {
        "r": 3, "lora_alpha": 5, "use_rslora": True, "lora_dropout": 0.1,
        "target_modules": r"image_encoder\.blocks\.\d+\.(attn\.qkv|attn\.proj|mlp\.lin[12])",
        "rank_pattern": {"lin1": 2}, "alpha_pattern": {"lin2": 7},
    },
    "peft_decoder": {"r": 2, "lora_alpha": 2, "target_modules": ["qkv", "q_proj", "v_proj"]},
}  # fmt: skip


def original():
    """Segment-anything's SAM with seeded weights, and a seeded input."""
    sam = tiny.make_original(tiny.make_sam(tiny.make_config("vit", ais=False)))
    shapes = {name: tuple(value.shape) for name, value in sam.state_dict().items()}
    sam.load_state_dict({n: torch.from_numpy(v) for n, v in tiny.seeded_weights(shapes).items()})
    image = tiny.seeded_weights({"image": (1, 3, tiny.IMAGE_SIZE, tiny.IMAGE_SIZE)})["image"]
    return sam.eval(), torch.from_numpy(image)


def trained(shapes):
    """Values for what a method trains."""
    return {n: torch.from_numpy(v) for n, v in tiny.seeded_weights(shapes, seed=1).items()}


@torch.no_grad()
def micro_sam_method(arguments):
    """Build a method; returns names (shape, name before) and embeddings, and packed weights."""
    from micro_sam.models import peft_sam

    sam, image = original()
    before = dict(sam.image_encoder.state_dict(keep_vars=True))
    frozen_id = {id(value): name for name, value in before.items()}
    kwargs = {**arguments, "peft_module": getattr(peft_sam, arguments["peft_module"])}
    wrapped = peft_sam.PEFT_Sam(sam, **kwargs).sam.eval()
    if arguments.get("quantize"):
        wrapped.to("cpu")  # this is where bitsandbytes packs
    encoder = wrapped.image_encoder
    variables = dict(encoder.named_parameters())
    state = encoder.state_dict()
    chosen = {name for name, value in variables.items() if value.requires_grad}
    values = trained({name: tuple(state[name].shape) for name in sorted(chosen)})
    for name, value in values.items():
        variables[name].copy_(value)
    names = {}
    for name, value in state.items():
        old = frozen_id.get(id(variables.get(name)))
        if arguments.get("quantize") and name not in chosen:
            old = name.replace("qkv_proj.", "").replace("mlp_layer.", "")
        names[name] = [list(value.shape), None if old is None else f"image_encoder.{old}",
                       name in chosen]  # fmt: skip
    packed = {}
    if arguments.get("quantize"):
        linears = [n for n in state if ".quant_state." in n]
        owners = tuple(n.partition(".quant_state.")[0] for n in linears)
        packed = {n: v.numpy().copy() for n, v in state.items() if n.startswith(owners)}
        plain_linears(encoder)
    return names, encoder(image)[:, ::16].numpy(), packed


def plain_linears(encoder):
    """Replace 4-bit layers by what they compute with, by bitsandbytes' reference implementation.

    Its compiled kernels do not take layers as narrow as these (see ``make_four_bit_goldens.py``).
    """
    from bitsandbytes.backends.default.ops import _dequantize_4bit_compute
    from bitsandbytes.functional import dequantize_blockwise
    from bitsandbytes.nn import Linear4bit

    for name, layer in list(encoder.named_modules()):
        if isinstance(layer, Linear4bit):
            linear = torch.nn.Linear(layer.in_features, layer.out_features)
            packed, state = layer.weight.data, layer.weight.quant_state
            scales = dequantize_blockwise(state.absmax, state.state2) + state.offset
            linear.weight.copy_(
                _dequantize_4bit_compute(
                    packed.reshape(-1), scales, state.code, 64, tuple(state.shape), torch.float32
                )
            )
            linear.bias.copy_(layer.bias)
            parent, _, last = name.rpartition(".")
            setattr(encoder.get_submodule(parent), last, linear)


@torch.no_grad()
def peft_folder(name, options):
    """Save a LoRA with peft; returns embeddings."""
    import peft

    sam, image = original()
    model = peft.get_peft_model(sam, peft.LoraConfig(**options))
    factors = {n: tuple(p.shape) for n, p in model.named_parameters() if ".lora_" in n}
    for factor, value in trained(factors).items():
        model.get_parameter(factor).copy_(value)
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(str(folder))
    (folder / "README.md").unlink(missing_ok=True)
    model.eval()
    return results(model.base_model.model, image)


def results(sam, image):
    """Embeddings, every 16th channel, and the mask decoder's answer to a box."""
    embeddings = sam.image_encoder(image)
    sparse, dense = sam.prompt_encoder(
        points=None, boxes=torch.tensor([[5.0, 8.0, 40.0, 50.0]]), masks=None
    )
    logits, iou = sam.mask_decoder(
        image_embeddings=embeddings, image_pe=sam.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse, dense_prompt_embeddings=dense, multimask_output=True,
    )  # fmt: skip
    return embeddings[:, ::16].numpy(), logits.numpy(), iou.numpy()


def make():
    """Write all files."""
    names, embeddings = {}, {}
    for method, arguments in METHODS.items():
        tensors, output, packed = micro_sam_method(arguments)
        names[method] = {"arguments": arguments, "tensors": tensors}
        embeddings[method] = output
        embeddings.update({f"{method}/{name}": value for name, value in packed.items()})
    lines = []
    for method, entry in names.items():
        tensors = ",\n".join(f"   {json.dumps(n)}: {json.dumps(t)}" for n, t in
                             entry["tensors"].items())  # fmt: skip
        lines.append(
            f' "{method}": {{"arguments": {json.dumps(entry["arguments"])}, "tensors": {{\n'
            f"{tensors}}}}}"
        )
    (FOLDER / "micro_sam_names.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    np.savez_compressed(FOLDER / "micro_sam_embeddings.npz", **embeddings)
    outputs = {}
    for name, options in TARGETS.items():
        kinds = ("embeddings", "logits", "iou")
        for kind, value in zip(kinds, peft_folder(name, options), strict=True):
            outputs[f"{name}/{kind}"] = value
    np.savez_compressed(FOLDER / "peft_embeddings.npz", **outputs)


def load_base(folder):
    """Segment-anything's SAM with a base folder's weights."""
    from samzoo.training.networks.sam import load_sam

    return tiny.make_original(load_sam(folder))


def difference(found, expected):
    """Largest difference over largest value."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@torch.no_grad()
def check(folder, base, model):
    """Print how far peft's reading of a folder of ours is from the merged model."""
    import peft

    image = original()[1]
    theirs = peft.PeftModel.from_pretrained(load_base(base), str(folder)).eval()
    unmerged = results(theirs.base_model.model, image)
    merged = results(theirs.merge_and_unload(), image)
    expected = results(load_base(model), image)
    for kind, one, two, want in zip(("embeddings", "logits", "iou"), unmerged, merged, expected,
                                    strict=True):  # fmt: skip
        print(f"{kind}: peft {difference(one, want):.1e}, merged by peft "
              f"{difference(two, want):.1e}")  # fmt: skip


@torch.no_grad()
def check_micro_sam(file, base, model, arguments):
    """Print how far micro-sam's reading of a checkpoint of ours is from the merged model."""
    from micro_sam.models import peft_sam

    image = original()[1]
    sam = load_base(base)
    if arguments:
        kwargs = {**arguments, "peft_module": getattr(peft_sam, arguments["peft_module"])}
        sam = peft_sam.PEFT_Sam(sam, **kwargs).sam
    state = torch.load(file, weights_only=True)
    print(sam.load_state_dict(state.get("model_state", state)))
    from samzoo.training.networks.sam import load_sam

    found, expected = results(sam.eval(), image), results(load_sam(model), image)
    for kind, value, want in zip(("embeddings", "logits", "iou"), found, expected, strict=True):
        print(f"{kind}: micro-sam {difference(value, want):.1e}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", nargs=3, metavar=("FOLDER", "BASE", "MODEL"))
    parser.add_argument("--check-micro-sam", nargs=4, metavar=("FILE", "BASE", "MODEL", "KWARGS"))
    options = parser.parse_args()
    if options.check:
        check(*map(Path, options.check))
    elif options.check_micro_sam:
        *paths, kwargs = options.check_micro_sam
        check_micro_sam(*map(Path, paths), json.loads(kwargs))
    else:
        make()
