"""The page ``docs/methods.md``, made from the code: each method's formula, picture and counts.

In: the table of methods. Out: Markdown. ``samzoo methods --markdown > docs/methods.md`` makes the
page again.
"""

from __future__ import annotations

import json
from typing import Any

from samzoo.runtime.formats.fields import to_json
from samzoo.training.methods import METHODS, Method
from samzoo.training.methods.blocks import block_names
from samzoo.training.methods.counts import count_trainable, parameters_of
from samzoo.training.methods.layers import block_layers

from .methods_listing import AIS_DECODER, ARCHITECTURES, method_rows, millions

INTRODUCTION = """\
# Finetuning methods

The code makes this page: `samzoo methods --markdown > docs/methods.md`. A test compares the two.
The counts come from the shapes in the config. `samzoo methods --arch NAME --json` gives them for
any architecture. The glossary explains words such as [method](glossary.md#method) and
[fold](glossary.md#fold).

A method changes only the image encoder. The prompt encoder, the mask decoder (4.06 M parameters
together) and the [AIS decoder](glossary.md#ais-decoder) train fully with every method. Every method
but `full` freezes what lies outside the encoder's blocks:
patch embedding, position embedding, neck.

## Trainable parameters

In millions: without an AIS decoder | with that of micro-sam (transposed convolutions, 11.03 M).
"""

AGREEMENT = """\
These numbers agree with the tables 5, 6 and 7 of the PEFT-SAM paper in all printed digits but one.
For LoRA and QLoRA on ViT-B the paper prints 5.3 | 16.3, but its own shapes (rank 32 on q and v of
12 blocks) give 5.24 | 16.27. The [late](glossary.md#late) methods adapt the last half of the
blocks, at most the last six, as in these tables. `blocks` chooses others.

In the pictures, the mark `^` stands under the layers that a method changes. Below are the tensors
that train in these layers: in `[]` the layer's own, with `+` those that the method adds.
"""

TINY_VIT = """\
## TinyViT

The pictures show segment-anything's ViT. A TinyViT (`vit_t`) has the same six layers in each block
of its last three stages, under other names:

{layers}

Its convolutions (stem, first stage, `local_conv` in each block, patch merging) are frozen, unless
whole blocks train. Blocks are counted over the last three stages. TinyViT orders the rows of `qkv`
by head (q, k, v of head 0, then of head 1). So "q and v" are other rows than in a ViT, but the
factors have the same shapes. `attention` trains `attention_biases` where a ViT has relative
positions. The paper has no TinyViT. These counterparts are samzoo's own choice.
"""

OPTIONS = """\
## Hyperparameters

The defaults are those of the code that made the paper's tables, even where its text differs.

- `blocks` (all methods but `freeze_encoder`): null for all, a sorted list of indices from 0, or
  `"late"`. `full` with a list trains these blocks only, as `late_full` does.
- `rank`, `matrices`, `scale` (LoRA): `matrices` is a list of q, k, v, proj, mlp. `scale`
  multiplies the product; other libraries call it alpha / rank.
- `mask_decoder_rank` (LoRA): above 0, the mask decoder's linear layers get factors, too, and their
  own weights are frozen. The adapter stores the sum, so it is read like any other.
- `init` (AdaptFormer, SSF, FacT): `"reference"` starts away from the base, as the released code
  does. `"identity"` starts at the base: AdaptFormer without the additional `+ x`, SSF at 1 and 0,
  FacT with V at zero.
- `alpha` (AdaptFormer): `"learned"`, or a fixed number. `projection` is the bottleneck's width.
- `dropout` (FacT, AdaptFormer): acts only in training steps.
- `shared` (FacT): one U and one V for all blocks of the same width, as in the paper's text.
  The released code gives each block its own.
"""

STEPS = ("norm1", "qkv", "attention", "proj", "+", "norm2", "lin1", "GELU", "lin2", "+")
"""A block of segment-anything's ViT; each sum adds the input of its half of the block."""

MLP_SPAN = (6, 8)
"""From the first to the last step of the MLP."""


def methods_page() -> str:
    """Write the page."""
    parts = [INTRODUCTION, _counts_table(), AGREEMENT]
    parts += [_section(name, method) for name, method in METHODS.items()]
    tiny = block_layers(ARCHITECTURES["vit_t"].image_encoder)
    vit = block_layers(ARCHITECTURES["vit_b"].image_encoder)
    lines = ["| ViT | TinyViT |", "|---|---|"]
    lines += [f"| `{vit[key]}` | `{tiny[key]}` |" for key in vit]
    return "\n".join([*parts, TINY_VIT.format(layers="\n".join(lines)), OPTIONS])


def block_picture(method: Method[Any]) -> list[str]:
    """Draw where a method sits in a block of ViT-B, from the names of what it trains.

    Returns:
        Lines: the residuals, the block, marks under what the method changes, and for each of these
        the tensors that train, in brackets where the base has them.
    """
    line, starts, ends = "x", [], []
    for index, step in enumerate(STEPS):
        line += " \u2500\u2534\u2500 " if index in (0, 5) else " \u2500\u2500 "
        starts.append(len(line))
        line += step
        ends.append(len(line))
    middle = [(start + end - 1) // 2 for start, end in zip(starts, ends, strict=True)]
    residuals = [" "] * len(line)
    for begin, end in ((3, middle[4]), (middle[4] + 3, middle[9])):
        residuals[begin : end + 1] = "\u250c" + "\u2500" * (end - begin - 1) + "\u2510"
    touched = _touched(method)
    marks = [" "] * len(line)
    for step in touched:
        if step == "mlp":
            begin, end = starts[MLP_SPAN[0]] - 2, middle[9]
            name = " down \u2500 ReLU \u2500 up "
            marks[begin : end + 1] = "\u2514" + name.center(end - begin - 1, "\u2500") + "\u2518"
        else:
            marks[middle[STEPS.index(step)]] = "^"
    notes = [f"{step}: {' '.join(names)}" for step, names in touched.items()]
    lines = ["".join(residuals), line, "".join(marks), *notes]
    return [text.rstrip() for text in lines if text.strip()]


def _touched(method: Method[Any]) -> dict[str, list[str]]:
    """The tensors that train in the last block of ViT-B, by step, in the order of the steps."""
    architecture = ARCHITECTURES["vit_b"]
    config = architecture.image_encoder
    own = parameters_of("image_encoder", architecture)
    trained = method.trainable(own, architecture, method.defaults)
    layers = {**block_layers(config), "attention": "attn", "mlp": "mlp"}
    prefix, touched = f"{block_names(config)[-1]}.", dict[str, list[str]]()
    for name in trained:
        inner = name.removeprefix(prefix)
        if inner == name:
            continue
        step = next(step for step, layer in layers.items() if inner.startswith(f"{layer}."))
        text = inner.removeprefix(f"{layers[step]}.")
        touched.setdefault(step, []).append(f"[{text}]" if name in own else f"+{text}")
    return {step: touched[step] for step in (*STEPS, "mlp") if step in touched}


def _section(name: str, method: Method[Any]) -> str:
    counts = count_trainable(method, ARCHITECTURES["vit_b"], method.defaults, AIS_DECODER)
    after = "It folds into plain weights."
    if not method.folds:
        after = "It does not fold: a merged model keeps its tensors as extra weights."
    values = to_json(method.defaults)
    defaults = ", ".join(f"`{key}` {json.dumps(value)}" for key, value in values.items())
    return "\n".join(
        [
            f"## {name}",
            "",
            f"`{method.formula}`: {method.placement}.",
            "",
            "```text",
            *block_picture(method),
            "```",
            "",
            f"{counts.image_encoder:,} parameters train in the encoder of ViT-B. {after}",
            f"Defaults: {defaults or 'none'}.",
            "",
        ]
    )


def _counts_table() -> str:
    names = ("vit_b", "vit_l", "vit_h", "vit_t")
    columns = [method_rows(ARCHITECTURES[name]) for name in names]
    lines = [f"| method | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for rows in zip(*columns, strict=True):
        cells = [
            f"{millions(row['trainable'])} \\| {millions(row['trainable_with_ais_decoder'])}"
            for row in rows
        ]
        lines.append(f"| `{rows[0]['method']}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
