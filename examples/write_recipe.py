"""Write the recipe of a model, and the list of its images with their hashes.

    python examples/write_recipe.py data/dsb2018-fluo data/dsb2018-histology \
        --weights 1 6.57 --name nuclei --segments "nuclei in fluorescence and stained tissue" \
        --config nuclei.toml --base base --seed 0 --data "DSB 2018, test fields" \
        --thresholds "chosen by the training on the validation part" -o model_cards/nuclei

Each folder is a set: images/, labels/ and split.csv, and a block in sets.toml that says whose they
are. `samzoo rebuild model_cards/nuclei/recipe.toml -o package --data data` then makes the model.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path

from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.outputs import write_bytes
from samzoo.zoo.recipes.file_table import write_file_table
from samzoo.zoo.recipes.recipe import read_recipe
from samzoo.zoo.recipes.steps import to_toml

SETS = Path(__file__).with_name("sets.toml")


def main() -> None:
    """Write both files."""
    options = parse()
    known = {each["name"]: each for each in tomllib.loads(SETS.read_text("utf-8"))["sets"]}
    folders: list[Path] = options.sets
    names = [folder.resolve().name for folder in folders]
    if missing := [name for name in names if name not in known]:
        raise SystemExit(f"{SETS.name}: has no [[sets]] for {', '.join(missing)}; add it")
    weights = options.weights or [1.0] * len(names)
    if len(weights) != len(names):
        raise SystemExit(f"--weights: found {len(weights)}, expected one for each set")
    base = tomllib.loads(options.config.read_text("utf-8"))
    base.pop("seed", None)
    fields = {
        "name": options.name, "segments": options.segments,
        "base_digest": ModelConfig.read(options.base / "config.json").weights_digest,
        "method": options.method, "seed": options.seed, "thresholds": options.thresholds,
        **({"over": options.over} if options.over else {}),
        **({"ais_decoder": options.ais_decoder} if options.ais_decoder else {}),
        **({"with_weights": True} if options.with_weights else {}),
        **({"card": options.card} if options.card else {}),
    }  # fmt: skip
    tables = [to_toml(fields), f"[training]\n{to_toml(base)}"]
    tables += [f"[[sets]]\n{to_toml(known[name])}" for name in names]
    scoring = {"data": options.data, "tasks": options.tasks, "controls": options.controls}
    if options.diameter:
        scoring["diameter"] = options.diameter
    tables.append(f"[evaluation]\n{to_toml(scoring)}")
    recipe = options.output / "recipe.toml"
    listed = write_file_table(
        folders, options.output / "files.csv", weights=dict(zip(names, weights, strict=True)),
        sources=[known[name]["source"] for name in names],
    )  # fmt: skip
    write_bytes(recipe, "\n".join(tables).encode())
    read_recipe(recipe)
    print(json.dumps({"recipe": str(recipe), "images": len(listed)}))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", nargs="+", type=Path, help="folder of a set")
    parser.add_argument("--weights", nargs="+", type=float, help="weight of each set's groups")
    for name in ("name", "segments", "data", "thresholds"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--config", required=True, type=Path, help="training config (.toml)")
    parser.add_argument("--base", required=True, type=Path, help="base folder")
    parser.add_argument("--method", default="lora")
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--tasks", nargs="+", default=["ais", "point", "box", "ip", "ib"])
    parser.add_argument("--controls", action="store_true")
    parser.add_argument("--diameter", default="", help="as of samzoo evaluate")
    parser.add_argument("--ais-decoder", default="", help="as of samzoo train")
    parser.add_argument("--with-weights", action="store_true", help="as of samzoo share")
    parser.add_argument("--card", default="", help="file of the card's texts in the folder")
    parser.add_argument("--over", default="", help="model whose encoder it uses")
    parser.add_argument("-o", "--output", required=True, type=Path, help="folder of the recipe")
    return parser.parse_args()


if __name__ == "__main__":
    main()
