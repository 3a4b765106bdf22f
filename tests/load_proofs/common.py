"""What the scripts share: reading their inputs, writing their masks."""

import sys
from importlib.metadata import version

import numpy as np


def arguments():
    """Return the target's folder, the image, and points and labels by prompt."""
    folder, inputs, _ = sys.argv[1:4]
    with np.load(inputs) as file:
        names = sorted(key[7:] for key in file if key.startswith("points_"))
        prompts = {name: (file[f"points_{name}"], file[f"labels_{name}"]) for name in names}
        return folder, file["image"], prompts


def answer(package, masks):
    """Write the masks of all prompts and the tool's version."""
    named = {f"masks_{name}": np.asarray(mask, bool) for name, mask in masks.items()}
    np.savez(sys.argv[3], version=version(package), **named)


def marks(points, labels):
    """Points and a box as AnyLabeling and samexporter describe them."""
    corners = [point for point, label in zip(points, labels, strict=True) if label >= 2]
    found = [
        {"type": "point", "data": [float(x), float(y)], "label": int(label)}
        for (x, y), label in zip(points, labels, strict=True)
        if label < 2
    ]
    if corners:
        found.append({"type": "rectangle", "data": [float(v) for v in np.ravel(corners)]})
    return found
