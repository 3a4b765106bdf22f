"""Models that others have published and that samzoo can pull, as a table.

Source: micro-sam's page doc/finetuned_models.md and micro_sam/util.py of its version 1.8.14, read
on 2026-11-29. Only nicknames that stand there are here; what they lead to, BioImage.IO says.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from .columns import text_table

SOURCE = "micro-sam 1.8.14 and its doc/finetuned_models.md, read on 2026-11-29"
"""Where the table is from; every answer names it."""

NEEDS = "needs the extras export and bioimageio, once"
"""What a pull of these models needs: samzoo converts their weights, and runs none of their code."""

LIGHT, ELECTRON = (
    "cells and nuclei in light microscopy", "mitochondria and nuclei in electron microscopy",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class OthersModel:
    """A model of others.

    Attributes:
        name: Its name where it comes from.
        backbone: Its image encoder.
        segments: What it is for, as its authors say.
        reference: What ``samzoo pull`` and ``--model`` take.
    """

    name: str
    backbone: str
    segments: str
    reference: str


OTHERS = tuple(
    OthersModel(name=name, backbone=backbone, segments=segments, reference=f"bioimageio:{nickname}")
    for name, backbone, segments, nickname in (
        ("vit_t_lm", "ViT Tiny", LIGHT, "faithful-chicken"),
        ("vit_b_lm", "ViT Base", LIGHT, "diplomatic-bug"),
        ("vit_l_lm", "ViT Large", LIGHT, "idealistic-rat"),
        ("vit_t_em_organelles", "ViT Tiny", ELECTRON, "greedy-whale"),
        ("vit_b_em_organelles", "ViT Base", ELECTRON, "noisy-ox"),
        ("vit_l_em_organelles", "ViT Large", ELECTRON, "humorous-crab"),
    )
)
"""micro-sam's finetuned models on BioImage.IO, the smallest encoder first."""


def others_table() -> str:
    """List the models of others, with the command that pulls each."""
    rows = [("others' models", "encoder", "segments", "command")]
    rows += [
        (f"micro-sam {each.name}", each.backbone, each.segments, f"samzoo pull {each.reference}")
        for each in OTHERS
    ]
    return text_table(rows)


def others_facts() -> list[dict[str, str]]:
    """Return the table for JSON answers."""
    return [asdict(each) for each in OTHERS]
