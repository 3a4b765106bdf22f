"""Tiny models exported as BioImage.IO zips, with all that a card can say."""

import dataclasses

import tiny

CARD = {
    "authors": "Ada Lovelace and Alan Turing. See https://example.org.\nTuring (1950), "
    "doi 10.1093/mind/LIX.236.433.",
    "description": "Finds cells.",
    "limitations": "Only tiny ones.",
}
SCORES = {"msa": 0.5, "sa50": 0.6, "sa75": 0.55, "dice": 0.8}
METRICS = {
    "evaluations": [
        {"subject": "this model", "data": "cells", "split": "test", "scores": {"ais": SCORES}}
    ]
}


def export_zips(folder, sam, **options):
    from samzoo.zoo import export
    from samzoo.zoo.targets import choose_targets

    base = tiny.write_base(folder / "base", sam)
    export(
        base, folder / "package", name="tiny-cells", segments="cells in fluorescence",
        targets=choose_targets(["bioimageio"]), card=CARD, metrics=METRICS, **options,
    )  # fmt: skip
    return folder / "package"


def make_sam(decoder="light", **preprocessing):
    from samzoo.runtime.formats.config import AisParameters

    config = tiny.make_config("vit", **preprocessing)
    if decoder != "light":
        ais = tiny.UNETR_DECODER if decoder == "unetr" else None
        architecture = dataclasses.replace(config.architecture, ais_decoder=ais)
        config = dataclasses.replace(config, architecture=architecture)
    config = dataclasses.replace(config, ais=AisParameters(min_size=7, distance_smoothing=1.25))
    return tiny.make_sam(config)
