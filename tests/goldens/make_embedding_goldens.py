"""Make ``micro_sam_zarr/``: embeddings that micro-sam keeps, and its masks from them.

Needs micro-sam 1.8.14 and zarr, like ``make_goldens.py``, and samzoo and the tests' tiny SAM on the
path (``PYTHONPATH=tests``); see README.md beside this file. The SAM is ``tiny.make_original`` of a
ViT that takes 64 pixels.

For an image (``image``), an image in tiles (``tiled``) and a stack in tiles (``tiled_stack``): the
Zarr folder, zipped, and in ``masks.npz`` the low-res logits and predicted IoUs that micro-sam's
predictor gives for a box in slice 1 and tile 1, where there are some.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
import tiny
from micro_sam import util
from segment_anything import SamPredictor

BOX = np.array([5, 6, 30, 28])


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent)
    output = parser.parse_args().output / "micro_sam_zarr"
    output.mkdir(parents=True, exist_ok=True)
    sam = tiny.make_original(tiny.make_sam(tiny.make_config("vit", ais=False))).eval()
    predictor = SamPredictor(sam)
    predictor.model_type, predictor.model_name, predictor._hash = "vit_x", "tiny", None
    image = np.random.default_rng(0).integers(0, 255, (70, 90)).astype(np.uint8)
    stack = np.random.default_rng(1).integers(0, 255, (2, 70, 90)).astype(np.uint8)
    tiles = {"tile_shape": (40, 90), "halo": (6, 8)}
    # A stack without tiles is written for grids of 64 only.
    cases = {"image": (image, {}), "tiled": (image, tiles), "tiled_stack": (stack, tiles)}
    masks = {}
    for name, (data, options) in cases.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            kept = util.precompute_image_embeddings(
                predictor, data, save_path=str(path), verbose=False, **options
            )
            slice_, tile = (1 if "stack" in name else None), (1 if options else None)
            util.set_precomputed(predictor, kept, i=slice_, tile_id=tile)
            _, iou, low_res = predictor.predict(box=BOX, multimask_output=False)
            masks[f"{name}_low_res"], masks[f"{name}_iou"] = low_res, iou
            shutil.make_archive(str(output / name), "zip", path)
    np.savez_compressed(output / "masks.npz", **masks)


if __name__ == "__main__":
    main()
