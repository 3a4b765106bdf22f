"""A package's own test: a small image, prompts, and the outputs of the model when it was exported.

In: a model. Out: ``test/expected.safetensors`` (or one file for each adapter), and the differences
between the model's outputs on this machine and those in the file.
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
"""Number of values kept from each large output, evenly spread over it."""

TOLERANCES = {"fp32": 1e-3, "fp16": 1e-3, "int8-weights": 1e-3, "int8": 0.05}
"""Largest allowed difference, divided by the largest value, by precision. Processors add in
different orders; with 8-bit inputs, a value that is rounded the other way differs by a whole level
(own choice)."""


def adapter_test_file(adapter: str) -> str:
    """Return the path of an adapter's own test file."""
    return f"adapters/{adapter}/expected.safetensors"


def write_test(path: Path, model: Model) -> None:
    """Write a model's outputs into a test file.

    Args:
        path: The test file.
        model: The model with the package's graphs.
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
    """Compare a model's outputs with the stored ones.

    Args:
        path: The test file, which has been checked against the manifest.
        model: The opened package, with this test's adapter in use.

    Returns:
        For each output, the largest difference divided by the largest stored value; infinite if the
        shapes differ.

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
    """Return the test image, ``SHAPE`` uint8: four bright discs on a gradient."""
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
