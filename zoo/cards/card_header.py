"""The header of a model card: the YAML from which Hugging Face reads a package's properties.

In: a ``Manifest``. Out: the header's fields, and their text.

Source: huggingface_hub 2.4, ``repocard_data.py``; the Hub's documentation of model cards.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from samzoo.runtime.evaluation.comparison import METRICS
from samzoo.runtime.evaluation.matching import SHOWN_PRECISIONS
from samzoo.runtime.evaluation.tasks import CONTROLS
from samzoo.runtime.formats.manifest import Manifest

KNOWN_LICENSES = {
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0",
    "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "gpl-3.0", "agpl-3.0", "lgpl-3.0", "mpl-2.0",
}  # fmt: skip
"""The licence identifiers of the Hub that models of this field use."""


def header_of(manifest: Manifest) -> dict[str, Any]:
    """Return the header of a card, as Hugging Face reads it.

    Args:
        manifest: The package's manifest.
    """
    header: dict[str, Any] = {
        "library_name": "samzoo",
        "pipeline_tag": "mask-generation",
        "tags": ["segment-anything", "instance-segmentation", "microscopy", "onnx"],
    }
    header |= license_fields(manifest)
    base = manifest.model.source.get("base")
    if isinstance(base, Mapping) and base.get("huggingface"):
        relation = "adapter" if manifest.adapters else "finetune"
        header["base_model"] = str(base["huggingface"])
        header["base_model_relation"] = "quantized" if manifest.precision == "int8" else relation
    results = [
        {
            "task": {"type": "mask-generation", "name": task},
            "dataset": _dataset(entry),
            "metrics": [
                {"type": name, "value": round(float(scores[name]), 4)}
                for name in (*METRICS, *SHOWN_PRECISIONS)
                if name in scores  # a package may be older than a metric
            ],
        }
        for entry in evaluations(manifest)
        if entry.get("subject") == "this model"
        for task, scores in entry["scores"].items()
        if task not in CONTROLS
    ]
    if results:
        header["model-index"] = [{"name": manifest.name, "results": results}]
    return header


def _dataset(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Describe the data of a measurement; the pairs that it left out are counted in ``args``."""
    dataset: dict[str, Any] = {
        "name": str(entry.get("data", "")),
        "type": "local",
        "split": str(entry.get("split", "")),
    }
    count = entry.get("n_left_out", 0)
    return {**dataset, "args": {"n_left_out": count}} if count else dataset


def license_fields(manifest: Manifest) -> dict[str, Any]:
    """Return the header's fields about the licence, as the Hub names it."""
    found = manifest.license.lower()
    if not found:
        return {}
    if found in KNOWN_LICENSES:
        return {"license": found}
    return {"license": "other", "license_name": found}


def evaluations(manifest: Manifest) -> Sequence[Mapping[str, Any]]:
    """Return the measured scores; skip entries of a wrong type, since strangers write manifests."""
    found = manifest.metrics.get("evaluations", [])
    return [e for e in found if isinstance(e, Mapping)] if isinstance(found, list) else []


def yaml_lines(value: Mapping[str, Any], indent: str = "") -> list[str]:
    """Write nested objects, lists and scalars as YAML; scalars have JSON's form, which is valid."""
    lines = []
    for key, item in value.items():
        if isinstance(item, Mapping):
            lines += [f"{indent}{key}:", *yaml_lines(item, indent + "  ")]
        elif isinstance(item, list):
            lines.append(f"{indent}{key}:")
            for entry in item:
                if isinstance(entry, Mapping):
                    first, *rest = yaml_lines(entry, indent + "  ")
                    lines += [f"{indent}- {first.strip()}", *rest]
                else:
                    lines.append(f"{indent}- {json.dumps(entry)}")
        else:
            lines.append(f"{indent}{key}: {json.dumps(item)}")
    return lines
