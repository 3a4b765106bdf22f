"""Quality and seconds by input scale and method, at equal training time.

    python benchmarks/input_scale.py --base BASE --work WORK [--minutes 5]

The script trains with the default model's settings, without corrections, at scales 1, 1.5 and 2
with LoRA, and at 2 with a frozen encoder. It prints mSA on the validation quadrant, and the
seconds to segment it in onnxruntime. It needs the `dev` extra.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
from pathlib import Path

from samzoo.runtime import load, read_image
from samzoo.training import TrainConfig, read_annotated, train
from samzoo.zoo import export

EXAMPLES = Path(__file__).parent.parent / "examples"
VARIANTS = (("lora", 1.0), ("lora", 1.5), ("lora", 2.0), ("freeze_encoder", 2.0))


def main() -> None:
    """Print one row for each variant."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=5.0)
    options = parser.parse_args()
    settings = TrainConfig.read(str(EXAMPLES / "nuclei-vit-t.toml"))
    image = read_image(EXAMPLES / "val/images/bottom_left.tif")
    print("| method | scale | steps | ais | point | box | seconds a 256 x 256 image |")
    print("|---|---|---|---|---|---|---|")
    for method, scale in VARIANTS:
        run = options.work / f"{method}-{scale:g}"
        if settings.preprocessing is None:
            raise SystemExit("nuclei-vit-t.toml declares no preprocessing")
        config = dataclasses.replace(
            settings,
            epochs=1000,
            steps_per_epoch=25,
            max_minutes=options.minutes,
            n_sub_iteration=1,
            validation_tasks=("ais", "point", "box"),
            hyperparameters=settings.hyperparameters if method == "lora" else {},
            preprocessing=dataclasses.replace(settings.preprocessing, scale=scale),
        )
        if not run.exists():
            train(
                base=options.base,
                train_data=read_annotated(EXAMPLES / "train/images", EXAMPLES / "train/labels"),
                val_data=read_annotated(EXAMPLES / "val/images", EXAMPLES / "val/labels"),
                method=method,
                config=config,
                output=run,
            )
        export(run, options.work / "package", base=options.base, force=True)
        model = load(options.work / "package")
        model.segment(image)
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            model.segment(image)
            seconds.append(time.perf_counter() - start)
        training = json.loads((run / "adapter_config.json").read_text())["source"]["training"]
        scores = training["validation"]
        print(
            f"| {method} | {scale:g} | {training['steps']} | {scores['ais']:.3f} | "
            f"{scores['point']:.3f} | {scores['box']:.3f} | {statistics.median(seconds):.2f} "
            f"({min(seconds):.2f} to {max(seconds):.2f}) |",
            flush=True,
        )


if __name__ == "__main__":
    main()
