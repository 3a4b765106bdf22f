"""A package's own test: a small image, prompts, and what the model answered when it was exported.

In: a model. Out: ``test/expected.safetensors``, or a file of each adapter, and how far what the
model answers here is from it. Written by ``export.py`` and ``shared_export.py``, run by
``verify.py``: the same file must mean the same on every machine.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.files import read_tensors, write_tensors
from samzoo.runtime.model import Model

TEST_FILE = "test/expected.safetensors"
TEST_ROLE = "test"

SHAPE = (48, 64)
SAMPLES = 512
"""Values kept of each large output, evenly spread over it."""

TOLERANCES = {"fp32": 1e-3, "fp16": 1e-3, "int8-weights": 1e-3, "int8": 0.05}
"""Largest difference over the largest value, by precision. Processors add in different orders; with
8-bit inputs a rounding that falls to the other side is a whole level (own choice)."""


def adapter_test_file(adapter: str) -> str:
    """Return the path of an adapter's own test."""
    return f"adapters/{adapter}/expected.safetensors"


def write_test(path: Path, model: Model) -> None:
    """Write what a model answers.

    Args:
        path: The test file.
        model: Of the package's graphs.
    """
    image = picture()
    write_tensors(path, {"image": image, **answers(model, image)}, {})


def answers_file(model: Model) -> bytes:
    """Return the content of a test file."""
    with tempfile.TemporaryDirectory(prefix="samzoo-") as folder:
        path = Path(folder) / "expected.safetensors"
        write_test(path, model)
        return path.read_bytes()


def run_test(path: Path, model: Model) -> dict[str, float]:
    """Compare what a model answers with what is stored.

    Args:
        path: The test file, which has been checked against the manifest.
        model: The package, opened; of several adapters, the one of this test in use.

    Returns:
        By output: largest difference over the largest stored value; infinite where shapes differ.

    Raises:
        FormatError: The test file is damaged, or a graph fails.
    """
    stored = read_tensors(path)
    found = answers(model, np.asarray(stored.pop("image")))
    return {name: _difference(found.get(name), value) for name, value in stored.items()}


def _difference(found: NDArray[Any] | None, stored: NDArray[Any]) -> float:
    if found is None or found.shape != stored.shape:
        return float("inf")
    largest = max(float(np.abs(stored).max()), 1e-12)
    return float(np.abs(found.astype(np.float64) - stored).max()) / largest


def picture() -> NDArray[np.uint8]:
    """Return ``SHAPE`` grey uint8: four bright discs on a slope, the same everywhere."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = 20 + x // 2
    for row, column, radius in ((14, 14, 8), (16, 44, 9), (36, 24, 7), (34, 50, 8)):
        image = np.where((y - row) ** 2 + (x - column) ** 2 < radius**2, 200 - y, image)
    result: NDArray[np.uint8] = image.astype(np.uint8)
    return result


def answers(model: Model, image: NDArray[np.uint8]) -> Tensors:
    """Embed an image, prompt it with a point and a box, and decode its AIS maps."""
    embeddings = model.embed(image)
    height, width = image.shape
    point = [[[width * 0.22, height * 0.3]]]
    box = [[width * 0.55, height * 0.15, width * 0.85, height * 0.55]]
    found = {"image_embeddings": _sampled(np.asarray(embeddings.values))}
    for name, given in (
        ("point", {"points": point, "point_labels": [[1]]}),
        ("box", {"boxes": box}),
    ):
        _, scores, low_res = model.prompt(embeddings, **given)
        found[f"{name}.iou_predictions"] = np.asarray(scores, np.float32)
        found[f"{name}.low_res_logits"] = _sampled(low_res)
    if model.config.architecture.ais_decoder is not None:
        found["ais_maps"] = _sampled(model.ais_maps(embeddings))
    return found


def _sampled(values: NDArray[np.float32]) -> NDArray[np.float32]:
    flat = np.asarray(values, np.float32).reshape(-1)
    chosen = np.linspace(0, len(flat) - 1, min(SAMPLES, len(flat))).astype(np.int64)
    return flat[chosen]
