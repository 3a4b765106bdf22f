"""The ways through the verbs that make models, and read and write other tools' files."""

from .folder import EXPORTING
from .shared import CONTROLS, THRESHOLDS, model, reading, refused
from .ways import Changes, Enables, Refused, Way

NOISY = "--images noisy.tif --labels noisy_truth.tif"
GIVEN = "train --base base"
TRAIN = f"{GIVEN} {NOISY}"
FIELD = "--images field/images --labels field/labels"
VALIDATION = "--val-images other.tif --val-labels other_truth.tif"
TRAINING = ("torch", "lightning_fabric")
TIMES = ("seconds", "seconds_a_step", "data")
"""Keys of an adapter's config that time a run or repeat what was asked for."""
LOGS = (
    "log.jsonl", "metrics.csv", "last.safetensors", "previous.safetensors", "best.safetensors",
    "worst.png",
)  # fmt: skip
"""Files of a run that hold times, or the names of images."""

MEASURED = ("machine", "memory", "first_seconds", "seconds")
"""Keys of a plan that tell of the machine."""

MAKING_WAYS = [
    Way("plan", "one method", "plan --base base --method lora --config quick.toml --json", {
        "--base": Refused("--base lora", "lora/config.json", "plan"),
        "--method": Changes("--method freeze_encoder", "plan --base base --json "
                            "--config plain.toml", other="--method full"),
        "--config": Changes("--config slower.toml", "plan --base base --method lora --json",
                            other="--config quick.toml"),
        "--ais-decoder": Changes("--ais-decoder none"),
        "--image-size": Changes("--image-size 96"),
        "--batch-size": Changes("--batch-size 2"),
        "--objects": Changes("--objects 7"),
    }, needs=TRAINING, echoes=MEASURED),
    Way("methods", "the table", "methods", {
        "--arch": Changes("--arch vit_t"), "--markdown": Changes("--markdown"),
    }),
    Way("methods", "the page", "methods --markdown", {
        "--arch": Refused("--arch vit_t", "omit --arch"),
        "--markdown": Changes("--markdown", "methods"),
    }),
    Way("merge", "LoRA", "merge lora -o m", {
        "--base": Enables("--base base", "merge moved -o m"),
        "--qlora-base": Refused("--qlora-base original", "is for QLoRA adapters"),
        "--verify": Refused("--verify nothing.tif", "nothing.tif"),
    }),
    Way("merge", "QLoRA", "merge qlora -o m", {
        "--base": Refused("--base other", "base"),
        "--qlora-base": Changes("--qlora-base original"),
        "--verify": Refused("--verify nothing.tif", "nothing.tif"),
    }),
    Way("sum", "LoRA", "sum lora lora2 -o s --weights 1 1", {
        "--weights": Changes("--weights 1 2", "sum lora lora2 -o s", other="--weights 1 1"),
        "--base": Enables("--base base", "sum moved lora -o s --weights 1 1"),
    }),
    Way("adapter write", "peft", "adapter write lora --to peft -o x", {
        "--to": Refused("--to x", "--to", "adapter write lora -o x"),
        "--base": Enables("--base base", "adapter write moved --to peft -o x"),
    }),
    Way("adapter read", "peft", "adapter read peft --base base -o a", {
        "--base": Refused("--base other", "other/config.json", "adapter read peft -o a"),
        **refused(["--method lora", "--alpha 1", "--image-size 64", "--key x"], "--"),
    }),
    Way("train", "with validation images", f"{TRAIN} --config quick.toml {VALIDATION} -o run", {
        "--images": Changes("--images noisy.tif", f"{GIVEN} --labels noisy_truth.tif "
                            "--config quick.toml -o run", other="--images other.tif"),
        "--labels": Changes("--labels noisy_truth.tif", f"{GIVEN} --images noisy.tif "
                            "--config quick.toml -o run", other="--labels other_truth.tif"),
        "--split": Changes("--split parts.csv", f"{GIVEN} {FIELD} --config quick.toml -o run"),
        "--val-images": Refused("--val-images noisy.tif", "noisy.tif is noisy.tif",
                                f"{TRAIN} --config quick.toml --val-labels noisy_truth.tif -o run"),
        "--val-labels": Refused("--val-labels cells.tif", "cells.tif",
                                f"{TRAIN} --config quick.toml --val-images other.tif -o run"),
        "--split-components": Enables("--split-components", f"{GIVEN} --images noisy.tif "
                                      "--labels noisy_binary.tif --config quick.toml -o run"),
        "--ignore": Changes("--ignore 2"),
        "--base": Refused("--base lora", "lora/config.json", f"train {NOISY} -o run"),
        "--method": Changes("--method freeze_encoder", f"{TRAIN} {VALIDATION} -o run "
                            "--config plain.toml", other="--method lora"),
        "--config": Changes("--config slower.toml", f"{TRAIN} {VALIDATION} -o run",
                            other="--config quick.toml"),
        "--show-config": Changes("--show-config laptop"),
        "--ais-decoder": Changes("--ais-decoder none"),
        "--epochs": Changes("--epochs 2"),
            "--max-minutes": Changes("--max-minutes 5"),
            "--seed": Changes("--seed 1"),
        "--resume": Enables("--resume", before=f"{TRAIN} --config quick.toml {VALIDATION} -o run"),
        "--start": Refused("--start nothing", "nothing: holds no adapter to start from"),
        "--devices": Refused("--devices 9999", "--devices: found 9999, but this machine has"),
        **reading(f"{TRAIN} --config quick.toml -o run", "noisy"),
    }, needs=TRAINING, echoes=TIMES, besides=LOGS),
    Way("export", "an adapter", "export lora -o p", {
        "--target": Changes("--target segment-anything"),
        "--precision": Changes("--precision fp16"),
        "--with-weights": Changes("--with-weights"),
        "--name": Changes("--name other"),
        "--segments": Changes("--segments cells"),
        "--base": Enables("--base base", "export moved -o p"),
        "--qlora-base": Changes("--qlora-base original", "export qlora -o p"),
    }, needs=EXPORTING),
    Way("export", "a base", "export base -o p", {
        "--target": Refused("--target qupath", "qupath"),
        "--precision": Changes("--precision int8-weights"),
        "--with-weights": Changes("--with-weights"),
        "--name": Refused("--name Cells!", "name"),
        "--segments": Changes("--segments cells"),
        "--base": Refused("--base base", "omit it"),
        "--qlora-base": Refused("--qlora-base original", "is for adapters"),
    }, needs=EXPORTING),
    Way("share", "a new package", "share lora lora2 -o p", {
        "--names": Changes("--names a b"),
        "--add-to": Refused("--add-to package", "package"),
        "--over": Changes("--over p2", "share lora -o p", before="share lora2 -o p2"),
        "--precision": Changes("--precision fp16"),
        "--name": Changes("--name other"),
        "--segments": Changes("--segments cells"),
        "--with-weights": Changes("--with-weights"),
        "--base": Enables("--base base", "share moved -o p"),
        "--qlora-base": Changes("--qlora-base original", "share qlora -o p"),
    }, needs=EXPORTING),
    Way("publish", "a zip", "publish small --to bioimageio:m.zip", {
        "--to": Changes("--to bioimageio:n.zip", "publish small", other="--to bioimageio:m.zip"),
        "--version": Refused("--version 1.0.0", "is for Hugging Face"),
        "--dry-run": Changes("--dry-run"),
        "--force": Enables("--force", "publish small --to bioimageio:old.zip"),
    }, needs=EXPORTING),
    Way("publish", "on Hugging Face", "publish small --to huggingface:lab/a --dry-run", {
        "--to": Changes("--to huggingface:lab/b", "publish small --dry-run",
                        other="--to huggingface:lab/a"),
        "--version": Changes("--version 2.0.0"),
        "--dry-run": Changes("--dry-run", "publish small --to huggingface:lab/c"),
        "--force": Refused("--force", "--force replaces a zip"),
    }, needs=(*EXPORTING, "huggingface_hub")),
    Way("convert", "a checkpoint", "convert sam.safetensors -o b", {
        "--image-size": Changes("--image-size 40"),
        "--decoder": Changes("--decoder decoder.safetensors"),
        "--key": Changes("--key model_ema", "convert two.safetensors -o b", other="--key model"),
        "--name": Changes("--name other"),
        "--license": Changes("--license MIT"),
        "--huggingface": Changes("--huggingface lab/sam"),
    }),
    Way("convert", "a base", "convert base --image-size 40 -o b", {
        "--image-size": Changes("--image-size 40", "convert base -o b", other="--image-size 48"),
        "--decoder": Refused("--decoder decoder.safetensors", "omit --decoder"),
        "--key": Refused("--key model", "omit --key"),
        **refused(["--name x", "--license MIT", "--huggingface lab/sam"], "keeps its description"),
    }),
    Way("evaluate", "without corrections", "evaluate --images cells.tif --labels truth.tif "
        "--tasks ais,box -o r.json --model package", {
        **model("evaluate --images dim.tif --labels truth.tif --tasks ais -o r.json"),
        "--diameter": Changes("--diameter 20"),
        **THRESHOLDS,
        "--images": Changes("--images dim.tif", "evaluate --labels truth.tif --tasks ais "
                            "-o r.json --model package", other="--images cells.tif"),
        "--labels": Changes("--labels one.tif", "evaluate --images cells.tif --tasks ais "
                            "-o r.json --model package", other="--labels truth.tif"),
        "--split": Enables("--split parts.csv", f"evaluate {FIELD} --part test --tasks ais "
                           "-o r.json --model package"),
        "--part": Changes("--part test", f"evaluate {FIELD} --split parts.csv --tasks ais "
                          "-o r.json --model package", other="--part val"),
        "--split-components": Changes("--split-components", "evaluate --images cells.tif "
                                      "--labels binary.tif --tasks ais -o r.json "
                                      "--model package"),
        "--ignore": Changes("--ignore 2"),
        **reading("evaluate --images cells.tif --labels truth.tif --tasks ais -o r.json "
                  "--model package"),
        "--tasks": Changes("--tasks box", "evaluate --images cells.tif --labels truth.tif "
                           "-o r.json --model package", other="--tasks ais"),
        "--seed": Refused("--seed 1", "seed: is for the tasks ip and ib"),
        "--min-object-size": Refused("--min-object-size 5000", "5000"),
        "--controls": CONTROLS,
        "--orientations": Changes("--orientations"),
        "--table": Changes("--table t.csv"),
        "--pictures": Changes("--pictures p"),
    }, echoes=("command", "settings", "speed")),
    Way("rebuild", "without its images", "rebuild recipe.toml -o built --data gone", {
        "--data": Refused("--data field", "6 of 6 files", "rebuild recipe.toml -o built"),
        "--work": Refused("--work built", "would replace the input built",
                          "rebuild recipe.toml -o built --data ."),
        "--force": Refused("--force", "no such folder"),
    }, fails="no such folder"),
    Way("study", "without its file", "study missing.toml -o s", fails="missing.toml"),
]  # fmt: skip
