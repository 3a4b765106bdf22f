"""Prompt an image object by object, as an annotation tool does, but without a viewer.

    python examples/interactive_loop.py examples/nuclei.tif overlay.png

Type `new X Y` for a point in a new object; `+ X Y`, `- X Y` or `box X0 Y0 X1 Y1` to correct its
mask; and `done` to end. The script updates the picture after each line.
"""

import sys

import numpy as np

from samzoo.runtime import SamzooError, read_image, write_overlay
from samzoo.zoo import load

USAGE = "type: new X Y (a point in an object); + X Y, - X Y or box X0 Y0 X1 Y1 (correct it); done"


def main(image_path: str, overlay_path: str) -> None:
    """Read prompts from stdin until `done`."""
    model, image = load(), read_image(image_path)
    embeddings = model.embed(image)  # the slow part, once; each prompt is quick
    labels = np.zeros(image.shape[:2], np.int32)
    number, points, signs, box = 0, [], [], None
    print(USAGE, flush=True)
    for line in sys.stdin:
        command, *words = line.split() or [""]
        if command == "done":
            break
        try:
            values = [float(word) for word in words]
            if command == "new":
                trial = [values], [1], None
            elif command == "box":
                trial = points, signs, [values]
            else:
                trial = [*points, values], [*signs, {"+": 1, "-": 0}[command]], box
            masks, scores, _ = model.prompt(
                embeddings, points=[trial[0]], point_labels=[trial[1]], boxes=trial[2]
            )
        except (KeyError, ValueError) as error:  # errors about prompts are ValueErrors, too
            print(error if isinstance(error, SamzooError) else USAGE, flush=True)
            continue
        number += command == "new" or number == 0
        points, signs, box = trial
        labels[labels == number] = 0
        labels[masks[0] & (labels == 0)] = number  # earlier objects keep their pixels
        write_overlay(overlay_path, image, labels)
        area, score = masks[0].sum(), scores[0]
        print(f"object {number}: {area} pixels, predicted IoU {score:.2f}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python examples/interactive_loop.py IMAGE OVERLAY.png")
    main(*sys.argv[1:])
