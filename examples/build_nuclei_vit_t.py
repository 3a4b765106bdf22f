"""Rebuild the default model from public inputs, and measure it.

    python examples/build_nuclei_vit_t.py --work WORK -o model_cards/nuclei-vit-t

The script converts LiteMedSAM and finetunes it with each seed on two quadrants of one image. It
keeps the seed with the best score on the validation quadrant and measures it once on the test
quadrant, which no choice was based on. The base before finetuning and a classical baseline are
measured beside it. Needs the `dev` extra. Finished steps in WORK are kept, so you can interrupt the
script and run it again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from baseline_otsu import best_baseline
from tqdm import tqdm

from samzoo.runtime import Model, draw_overlay, load, read_image, read_labels
from samzoo.runtime.engine.networks import RememberedEncoder
from samzoo.runtime.evaluation.comparison import Comparison, scores_of
from samzoo.runtime.evaluation.scoring import evaluate_image
from samzoo.runtime.evaluation.tasks import TASKS
from samzoo.runtime.formats.files import read_json, write_json
from samzoo.runtime.prompts.cutouts import labels_from_masks
from samzoo.training import TorchNetworks, TrainConfig, load_sam, read_annotated, train
from samzoo.training.fit.schedule import Status
from samzoo.training.networks.sam import Preprocess
from samzoo.zoo import convert, export
from samzoo.zoo.checkpoints.conversion import find_lite_medsam

HERE = Path(__file__).parent
DATA = "DSB 2018 nuclei, one 512 x 512 image"
COMMAND = (
    "samzoo evaluate --images examples/test/images --labels examples/test/labels -o report.json"
)

NORMALISATIONS = [
    (percentiles, gamma, scale)
    for scale, percentiles, gamma in product(
        (1.0, 2.0), ((0.0, 100.0), (0.5, 99.5), (1.0, 98.0)), (1.0, 0.7, 0.5, 0.35)
    )
]


def main() -> None:
    """Run all steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("-o", "--output", type=Path, required=True, help="package folder")
    options = parser.parse_args()
    work: Path = options.work
    base = work / "base"
    if not base.exists():
        convert(find_lite_medsam(), base)
    packages = {seed: work / f"package{seed}" for seed in options.seeds}
    for seed, package in packages.items():
        finetune(base, work / f"seed{seed}", seed)
        export(work / f"seed{seed}", package, base=base, force=True)
    validation = {seed: measure(load(p), *quadrant("val")) for seed, p in packages.items()}
    best = max(packages, key=lambda seed: mean_msa(validation[seed]))
    note = (
        f"fp32 graphs. Validation, {spread(validation)}; seed {best} has the best mean and ships."
    )
    print(note)
    test = quadrant("test")
    results = {seed: measure(load(package), *test) for seed, package in packages.items()}
    half = work / "package_fp16"
    export(work / f"seed{best}", half, base=base, precision="fp16", force=True)
    evaluations = [
        entry("this model", results[best], note=f"{note} Test, {spread(results)}."),
        entry("this model stored as fp16 (what ships)", measure(load(half), *test)),
        kept(work / "base_before.json", lambda: base_before(base, test)),
        baseline(test),
    ]
    publish(work / f"seed{best}", base, options.output, evaluations)


def finetune(base: Path, run: Path, seed: int) -> None:
    """Train one seed, unless an earlier call has done so."""
    if (run / "adapter_config.json").is_file():
        return
    config = TrainConfig.read(str(HERE / "nuclei-vit-t.toml"))
    config = dataclasses.replace(config, seed=seed)
    bar = tqdm(desc=run.name, unit="step")

    def report(status: Status) -> None:
        bar.n = status.step
        bar.set_postfix(loss=status.loss, score=status.score, left=int(status.seconds_left))

    train(
        base=base,
        train_data=read_annotated(HERE / "train/images", HERE / "train/labels"),
        val_data=read_annotated(HERE / "val/images", HERE / "val/labels"),
        method="lora",
        config=config,
        output=run,
        resume=run.exists(),
        report=report,
    )


def kept(path: Path, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Compute once, and read the result from a file afterwards."""
    if not path.exists():
        write_json(path, compute())
    return read_json(path)


def quadrant(split: str) -> tuple[Any, Any]:
    """Return image and labels of the validation or test quadrant."""
    image = next((HERE / split / "images").glob("*.tif"))
    return read_image(image), read_labels(HERE / split / "labels" / image.name)


def measure(
    model: Model, image: Any, labels: Any, tasks: tuple[str, ...] = TASKS
) -> dict[str, dict[str, float]]:
    """Score all tasks on one image."""
    model = Model(model.config, RememberedEncoder(model.networks))
    return dict(evaluate_image(model, image, labels, tasks=tasks))


def base_before(base: Path, test: tuple[Any, Any]) -> dict[str, Any]:
    """Score the base without finetuning, with the best preprocessing for boxes on validation."""
    sam = load_sam(base)
    default, best_score, best_config = sam.config, -1.0, sam.config
    for percentiles, gamma, scale in tqdm(NORMALISATIONS, desc="normalisation of the base"):
        preprocessing = dataclasses.replace(
            default.preprocessing, intensity="percentile", percentiles=percentiles, gamma=gamma,
            scale=scale,
        )  # fmt: skip
        config = dataclasses.replace(default, preprocessing=preprocessing)
        sam.config, sam.preprocess = config, Preprocess(preprocessing, config.image_size)
        score = measure(Model(config, TorchNetworks(sam)), *quadrant("val"), tasks=("box",))
        if score["box"]["msa"] > best_score:
            best_score, best_config = score["box"]["msa"], config
    sam.config = best_config
    sam.preprocess = Preprocess(best_config.preprocessing, best_config.image_size)
    p = best_config.preprocessing
    note = (
        f"Best of {len(NORMALISATIONS)} normalisations on the validation quadrant (box mSA there "
        f"{best_score:.3f}): percentiles {p.percentiles[0]:g} to {p.percentiles[1]:g}, gamma "
        f"{p.gamma:g}, scale {p.scale:g}. It has no AIS decoder."
    )
    scores = measure(
        Model(best_config, TorchNetworks(sam)), *test, tasks=("point", "box", "ip", "ib")
    )
    return entry("LiteMedSAM before finetuning", scores, note=note)


def baseline(test: tuple[Any, Any]) -> dict[str, Any]:
    """Score Otsu's threshold with a distance-transform watershed, tuned on validation."""
    segment, note = best_baseline(*quadrant("val"))
    image, truth = test
    counts = np.bincount(truth.reshape(-1))
    truth = np.where(counts[truth] >= 20, truth, 0).astype(np.int32)
    labels = segment(image)
    scores = {"ais": scores_of(Comparison(labels, truth))}
    return entry("Otsu and distance-transform watershed", scores, note=note)


def entry(subject: str, scores: Any, note: str = "") -> dict[str, Any]:
    """Return one block of the card's score tables."""
    return {
        "subject": subject,
        "data": DATA,
        "split": "bottom right quadrant, never trained or chosen on",
        "n_objects": 28,
        "scores": scores,
        "note": note,
        "command": COMMAND if subject.startswith("this model stored") else "",
    }


def mean_msa(scores: dict[str, dict[str, float]]) -> float:
    """Return the mean mSA of all tasks, which chooses the seed."""
    return float(np.mean([scores[task]["msa"] for task in TASKS]))


def spread(results: dict[int, dict[str, dict[str, float]]]) -> str:
    """Describe the mSA of all seeds, for the card."""
    parts = []
    for task in TASKS:
        values = [r[task]["msa"] for r in results.values()]
        parts.append(f"{task} " + ", ".join(f"{value:.3f}" for value in values))
    seeds = ", ".join(map(str, results))
    return f"mSA of seeds {seeds}: {'; '.join(parts)}"


def publish(adapter: Path, base: Path, output: Path, evaluations: list[dict[str, Any]]) -> None:
    """Write the package that ships."""
    texts = json.loads((HERE / "nuclei-vit-t.card.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft"
        export(adapter, draft, base=base, precision="fp16")
        cover = cover_picture(load(draft))
    export(
        adapter,
        output,
        base=base,
        precision="fp16",
        weights=True,
        name="nuclei-vit-t",
        segments="nuclei in fluorescence microscopy",
        metrics={"evaluations": evaluations},
        card={**texts, "cover": "cover.png"},
        files={"cover.png": cover},
        force=True,
    )


def cover_picture(model: Model) -> bytes:
    """Draw the test quadrant: image, automatic segmentation, and masks from one point a nucleus."""
    import io

    from PIL import Image

    from samzoo.runtime.evaluation.prompt_simulation import object_centers

    image, truth = quadrant("test")
    ids = [int(i) for i in np.unique(truth) if i and (truth == i).sum() >= 20]
    points = object_centers(truth, ids)[:, None]
    labels = np.ones((len(ids), 1))
    masks, _, _ = model.prompt(model.embed(image), points=points, point_labels=labels)
    panels = [
        draw_overlay(image, np.zeros(truth.shape, np.int32)),
        draw_overlay(image, model.segment(image)),
        draw_overlay(image, labels_from_masks(masks)),
    ]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(panels, axis=1)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
