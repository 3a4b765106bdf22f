"""300 box prompts on one image: samzoo against micro-sam and segment-anything in torch.

    python benchmarks/prompts.py [--objects 300] [--runs 5] [--threads N]

The script needs the `dev` extra and micro-sam (`pip install --no-deps micro-sam torch-em
python-elf` and what they import; see `tests/goldens/README.md`). All run the mask decoder of ViT-B
with the same random weights and the same random image embeddings of a 1024 x 1024 image. Random
weights give masks of noise that cover half of the image; on real objects samzoo draws less. Every
contender ends with boolean masks at image size in memory.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from racing import Contender, race, table

from samzoo.runtime.formats.architecture import Architecture
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.families.vit import VitConfig
from samzoo.runtime.formats.prefixes import ENCODER_PREFIX

SIDE = 1024
MICRO_SAM = "micro-sam, batches of 32"
"""The contender to compare with; 32 is micro-sam's default."""

CONFIG = ModelConfig(
    # The encoder does not run; one narrow block makes it quick to build.
    architecture=Architecture(
        image_encoder=VitConfig(embed_dim=32, depth=1, num_heads=2, global_attn_indexes=())
    ),
    weights_digest="sha256:random",
)


def prepare(folder: Path, objects: int) -> None:
    """Write the weights for torch and for onnxruntime, image embeddings and boxes."""
    import torch

    from samzoo.runtime.formats.manifest import MASK_DECODER
    from samzoo.training.networks.sam import Sam
    from samzoo.zoo.graphs.tracing import export_graphs

    torch.manual_seed(0)
    sam = Sam(CONFIG).eval()
    with torch.no_grad():
        for value in sam.parameters():  # many start at zero
            value.add_(0.02 * torch.randn_like(value))
    torch.save(sam.state_dict(), folder / "sam.pt")
    graphs = export_graphs(sam, precision="fp32", metadata={})
    (folder / "mask_decoder.onnx").write_bytes(graphs[MASK_DECODER])
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, SIDE - 80, (objects, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(20, 80, (objects, 2))], axis=1)
    embedding = rng.standard_normal((1, 256, CONFIG.grid, CONFIG.grid))
    np.savez(
        folder / "inputs.npz",
        boxes=boxes.astype(np.float32),
        embedding=embedding.astype(np.float32),
    )


def run_samzoo(folder: Path, threads: int | None = None) -> Callable[[], object]:
    """Return a function that prompts all boxes with samzoo's runtime."""
    from samzoo.runtime import ImageEmbeddings, Model
    from samzoo.runtime.engine.sessions import OnnxNetworks
    from samzoo.runtime.images.tiles import whole

    boxes, embedding = _inputs(folder)
    networks = OnnxNetworks(
        lambda role: (folder / f"{role}.onnx").read_bytes(), CONFIG, threads=threads
    )
    model = Model(CONFIG, networks)
    size = (SIDE, SIDE)
    embeddings = ImageEmbeddings(embedding, tuple(whole(size)), size, CONFIG.weights_digest)

    def task() -> object:
        masks, _, _ = model.prompt(embeddings, boxes=boxes)
        return np.count_nonzero(masks, axis=(1, 2))

    return task


def run_segment_anything(
    folder: Path, batch: int, threads: int | None = None
) -> Callable[[], object]:
    """Return a function that prompts all boxes with ``SamPredictor.predict_torch``."""
    import torch

    predictor = _predictor(folder, threads)
    boxes = torch.from_numpy(_inputs(folder)[0])

    def task() -> object:
        masks = [
            predictor.predict_torch(None, None, boxes=part, multimask_output=False)[0][:, 0].numpy()
            for part in boxes.split(batch)
        ]
        return np.concatenate([np.count_nonzero(part, axis=(1, 2)) for part in masks])

    return task


def run_micro_sam(folder: Path, batch: int, threads: int | None = None) -> Callable[[], object]:
    """Return a function that prompts all boxes with micro-sam's ``batched_inference``."""
    from micro_sam.inference import batched_inference

    predictor, boxes = _predictor(folder, threads), _inputs(folder)[0]

    def task() -> object:
        records = batched_inference(
            predictor, None, batch, boxes=boxes, return_instance_segmentation=False
        )
        return np.array([int(record["area"]) for record in records])

    return task


def contenders(
    folder: Path, *, batches: Sequence[int] = (32, 4), threads: int | None = None
) -> dict[str, Contender]:
    """Return all contenders by name, for the files that ``prepare`` wrote to a folder.

    Args:
        folder: Folder with weights and inputs.
        batches: Batch sizes of micro-sam: its default, and the fastest.
        threads: Threads of each contender; None leaves the number to the libraries.
    """
    named: dict[str, Contender] = {"samzoo": partial(run_samzoo, folder, threads)}
    for batch in batches:
        named[f"micro-sam, batches of {batch}"] = partial(run_micro_sam, folder, batch, threads)
    named["segment-anything, batches of 4"] = partial(run_segment_anything, folder, 4, threads)
    return named


def main() -> None:
    """Print the table and how far the masks differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=300)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    print(report(options.runs, objects=options.objects, threads=options.threads))


def report(runs: int, *, objects: int = 300, threads: int | None = None) -> str:
    """Race all; return a table and how far the masks differ."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, objects)
        results = race(contenders(folder, threads=threads), runs, keep_values=True)
    lines = [table(results, against=MICRO_SAM), ""]
    areas = {name: np.asarray(result.value) for name, result in results.items()}
    for name, found in areas.items():
        difference = np.abs(found - areas[MICRO_SAM]).max()
        lines.append(f"{name}: areas differ by at most {difference} of {SIDE**2} pixels.")
    return "\n".join(lines)


def _inputs(folder: Path) -> tuple[Any, Any]:
    with np.load(folder / "inputs.npz") as file:
        return file["boxes"], file["embedding"]


def _predictor(folder: Path, threads: int | None) -> Any:
    """Return segment-anything's predictor with the decoder's weights and the embeddings set."""
    import torch
    from segment_anything import SamPredictor
    from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer
    from segment_anything.modeling import Sam as OriginalSam

    if threads is not None:
        torch.set_num_threads(threads)
    grid = CONFIG.grid
    sam = OriginalSam(
        image_encoder=torch.nn.Identity(),
        prompt_encoder=PromptEncoder(256, (grid, grid), (SIDE, SIDE), mask_in_chans=16),
        mask_decoder=MaskDecoder(
            transformer_dim=256,
            transformer=TwoWayTransformer(depth=2, embedding_dim=256, num_heads=8, mlp_dim=2048),
        ),
    ).eval()
    sam.image_encoder.img_size = SIDE
    weights = torch.load(folder / "sam.pt", weights_only=True)
    wanted = {key: value for key, value in weights.items() if not key.startswith(ENCODER_PREFIX)}
    missing = sam.load_state_dict(wanted, strict=False).missing_keys
    if missing:
        raise ValueError(f"these weights are missing: {missing}")
    predictor = SamPredictor(sam)
    predictor.features = torch.from_numpy(_inputs(folder)[1])
    predictor.original_size = predictor.input_size = (SIDE, SIDE)
    predictor.is_image_set = True
    return predictor


if __name__ == "__main__":
    main()
