"""How safely and how often tiles are left out because nothing in them stands out.

    python benchmarks/flat_tiles.py IMAGES LABELS [--diameter PX]

Cuts the annotated images of two folders into the model's tiles, without running it. The table
counts tiles by the images' size: all, without an object, left out, and left out though they hold a
pixel of an object. The last line is the smallest range of a smoothed tile with an object: the
threshold must lie below it. The script needs samzoo.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from samzoo.runtime import read_image, read_labels
from samzoo.runtime.automatic.flatness import is_flat, smoothed_range
from samzoo.runtime.engine.encoding import choose_tiles
from samzoo.runtime.images.intensity import to_0_255
from samzoo.zoo import load

COLUMNS = ("tiles", "without an object", "left out", "left out with an object")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--model", default="nuclei-vit-t")
    parser.add_argument("--diameter", type=float)
    options = parser.parse_args()
    config = load(options.model).for_objects(options.diameter).config
    counts: dict[str, Counter[str]] = {}
    least = 1.0
    for path in sorted(options.images.iterdir()):
        image, labels = read_image(path), read_labels(options.labels / f"{path.stem}.tif")
        pixels = to_0_255(image, config.preprocessing)
        of = counts.setdefault(f"{image.shape[0]} x {image.shape[1]}", Counter())
        for tile in choose_tiles(config, labels.shape, None, None):
            y0, x0, y1, x1 = tile.outer
            seen, objects = pixels[y0:y1, x0:x1], bool(labels[y0:y1, x0:x1].any())
            flat = is_flat(seen, config)
            found = (True, not objects, flat, flat and objects)
            of.update({name: int(value) for name, value in zip(COLUMNS, found, strict=True)})
            least = min(least, smoothed_range(seen, config) if objects else 1.0)
    print(f"| images | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}")
    for size, each in sorted(counts.items()):
        print(f"| {size} | {' | '.join(str(each[name]) for name in COLUMNS)} |")
    total = sum(counts.values(), Counter())
    print(f"| all | {' | '.join(str(total[name]) for name in COLUMNS)} |")
    print(f"smallest range with an object: {least:.3f}")


if __name__ == "__main__":
    main()
