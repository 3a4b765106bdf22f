"""Prompts from the command line: options for one object, or a JSON file for any number.

In: options or a file. Out: the arrays that ``Model.prompt`` takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.budgets import MAX_JSON_BYTES
from samzoo.runtime.engine.embeddings import ImageEmbeddings
from samzoo.runtime.engine.object_scale import at_scale
from samzoo.runtime.errors import FormatError, InputError, NotFoundError, did_you_mean, shown
from samzoo.runtime.evaluation.prompt_simulation import object_boxes
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.fields import parse_json
from samzoo.runtime.labels.files import read_labels
from samzoo.runtime.prompts.batches import central_tile
from samzoo.runtime.prompts.derivation import mask_as_logits, prompt_of_mask
from samzoo.runtime.prompts.tokens import NEGATIVE, PADDING, POSITIVE

KEYS = ("points", "labels", "box", "mask")


def from_options(
    points: Sequence[Sequence[float]], labels: Sequence[int], boxes: Sequence[Sequence[float]]
) -> list[dict[str, Any]]:
    """Turn ``--point``, ``--label`` and ``--box`` into objects.

    All points mark one object; without points, each box is an object.

    Raises:
        InputError: There is no prompt, labels and points differ in number, or there are points with
            several boxes.
    """
    if not points and not boxes:
        raise InputError("no prompt: give --point X Y, --box X0 Y0 X1 Y1, or --prompts FILE.json")
    if labels and len(labels) != len(points):
        raise InputError(
            f"{len(points)} --point and {len(labels)} --label: give one label for each point, or "
            "none"
        )
    if not points:
        return [{"box": list(box)} for box in boxes]
    if len(boxes) > 1:
        raise InputError(
            "points with several boxes do not tell which belong together; use --prompts FILE.json"
        )
    prompt: dict[str, Any] = {
        "points": [list(point) for point in points],
        "labels": list(labels) or [1] * len(points),
    }
    return [{**prompt, "box": list(boxes[0])}] if boxes else [prompt]


def read_prompts(path: Path) -> list[dict[str, Any]]:
    """Read ``[{"points": [[x, y]], "labels": [1], "box": [x0, y0, x1, y1]}, {"mask": "a.png"}]``.

    Every object has points with labels, a box, or both; or a mask: the path, from the file's
    folder, of an image in which the object alone is not 0.

    Returns:
        The objects; a mask is the image's labels and the object's label, as in ``from_mask``.

    Raises:
        NotFoundError: There is no such file.
        FormatError: The file is not such a list; the message names the object and field.
    """
    if not path.is_file():
        raise NotFoundError(f"{path}: no such file")
    if path.stat().st_size > MAX_JSON_BYTES:
        raise FormatError(f"{path}: {path.stat().st_size} bytes is too large for a prompt file")
    value = parse_json(path.read_bytes(), where=str(path))
    if not isinstance(value, list) or not value:
        raise FormatError(f"{path}: expected a list of objects, found {shown(value)}")
    for index, item in enumerate(value):
        where = f"{path}: object {index}"
        if not isinstance(item, dict) or not item:
            raise FormatError(
                f"{where}: expected an object with {', '.join(KEYS)}, found {shown(item)}"
            )
        if unknown := sorted(set(item) - set(KEYS)):
            raise FormatError(
                f"{where}: unknown key {shown(unknown[0])}, allowed: {', '.join(KEYS)}"
                f"{did_you_mean(unknown[0], KEYS)}"
            )
        points, labels = item.get("points", []), item.get("labels", [])
        _check_numbers(points, 2, f"{where}.points")
        if not isinstance(labels, list) or len(labels) != len(points):
            raise FormatError(
                f"{where}.labels: expected one for each of {len(points)} points, "
                f"found {shown(labels)}"
            )
        if any(isinstance(label, bool) or label not in (NEGATIVE, POSITIVE) for label in labels):
            raise FormatError(
                f"{where}.labels: found {shown(labels)}, allowed are 1 (object) and 0 (background)"
            )
        if "box" in item:
            _check_numbers([item["box"]], 4, f"{where}.box")
        elif not points and "mask" not in item:
            raise FormatError(f"{where}: no prompt; give points with labels, a box or a mask")
    return [_with_mask(item, path, index) for index, item in enumerate(value)]


def _with_mask(item: dict[str, Any], path: Path, index: int) -> dict[str, Any]:
    """Read the mask that an object names, if it names one."""
    if "mask" not in item:
        return item
    named = item["mask"]
    if len(item) > 1:
        raise FormatError(
            f"{path}: object {index}: a mask prompts with its own box; omit "
            f"{', '.join(sorted(set(item) - {'mask'}))}, or omit mask"
        )
    if not isinstance(named, str) or not named:
        raise FormatError(
            f"{path}: object {index}.mask: expected the name of a file, found {shown(named)}"
        )
    found = from_mask(path.parent / named)
    if len(found) > 1:
        raise FormatError(
            f"{path}: object {index}.mask: {shown(named)} holds {len(found)} objects, expected "
            "one; to prompt with all of them, pass the file as --mask"
        )
    return found[0]


def from_mask(path: Path) -> list[dict[str, Any]]:
    """Read a label image, each object of which is a prompt: its tight box, and the mask itself.

    Returns:
        For each object ``box``, and ``mask``: the whole label image and the object's label.

    Raises:
        NotFoundError: There is no such file.
        ImageError: The file does not hold labels.
        InputError: It holds no object.
    """
    labels = read_labels(path)
    ids = np.unique(labels[labels > 0])
    if not len(ids):
        raise InputError(f"{path}: holds no object to prompt with (all pixels are 0)")
    boxes = object_boxes(labels, ids).tolist()
    return [
        {"box": box, "mask": (labels, int(label))} for label, box in zip(ids, boxes, strict=True)
    ]


def diameter_of_boxes(objects: Sequence[dict[str, Any]]) -> float | None:
    """Return the median diameter of the objects that have a box, in image pixels.

    Args:
        objects: From ``read_prompts``, ``from_mask`` or ``from_options``.

    Returns:
        The median of the diameters of circles with the areas of the ellipses in the boxes; None
        without a box.

    >>> diameter_of_boxes([{"box": [0, 0, 10, 40]}, {"points": [[3, 3]], "labels": [1]}])
    20.0
    """
    boxes = np.array([item["box"] for item in objects if "box" in item], np.float64)
    if not len(boxes):
        return None
    return float(np.median(np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))))


def with_logits(
    objects: Sequence[dict[str, Any]], embeddings: ImageEmbeddings, config: ModelConfig
) -> list[dict[str, Any]]:
    """Turn the masks of objects into the mask inputs of the tiles that decode them.

    Raises:
        InputError: A mask has another size than the image.
    """
    config = at_scale(config, embeddings.scale)
    found = []
    for item in objects:
        if "mask" not in item:
            found.append(item)
            continue
        labels, label = item["mask"]
        if labels.shape != embeddings.original_size:
            raise InputError(
                f"mask: the labels are {labels.shape[0]} x {labels.shape[1]} pixels, the image "
                f"is {embeddings.original_size[0]} x {embeddings.original_size[1]}; they must be "
                "equal"
            )
        mask = labels == label
        tile = embeddings.tiles[central_tile(prompt_of_mask(mask, "box"), embeddings.tiles)]
        found.append({"box": item["box"], "mask_input": mask_as_logits(mask, tile, config)})
    return found


def to_arrays(objects: Sequence[dict[str, Any]]) -> list[tuple[list[int], dict[str, Any]]]:
    """Group objects into calls of ``Model.prompt``: those with a box or mask and those without.

    Returns:
        Indices of the objects, and the arguments ``points``, ``point_labels``, ``boxes`` and
        ``mask_input``.
    """
    calls = []
    for with_box, with_mask in ((True, True), (True, False), (False, False)):
        kind = {"box": with_box, "mask_input": with_mask}
        members = [
            i for i, item in enumerate(objects) if {key: key in item for key in kind} == kind
        ]
        if not members:
            continue
        arguments: dict[str, Any] = {}
        longest = max(len(objects[i].get("points", [])) for i in members)
        if longest:
            points = np.zeros((len(members), longest, 2))
            labels = np.full((len(members), longest), PADDING)
            for row, i in enumerate(members):
                given = objects[i].get("points", [])
                if given:
                    points[row, : len(given)] = given
                    labels[row, : len(given)] = objects[i]["labels"]
            arguments |= {"points": points, "point_labels": labels}
        if with_box:
            arguments["boxes"] = np.array([objects[i]["box"] for i in members])
        if with_mask:
            arguments["mask_input"] = np.stack([objects[i]["mask_input"] for i in members])
        calls.append((members, arguments))
    return calls


def _check_numbers(rows: Any, length: int, where: str) -> None:
    if not isinstance(rows, list):
        raise FormatError(f"{where}: expected a list, found {shown(rows)}")
    for row in rows:
        if not isinstance(row, list) or len(row) != length or not all(map(_is_number, row)):
            raise FormatError(f"{where}: expected {length} numbers, found {shown(row)}")


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return -1e30 < value < 1e30  # also false for NaN
