"""A recipe of a tiny model, and the list of its images, for tests that import it by this name."""

import csv
import hashlib
import json

from samzoo.runtime.formats.config import ModelConfig
from samzoo.zoo.recipes.file_table import COLUMNS

RECIPE = """\
name = "cells"
segments = "cells"
base = "base"
base_digest = {digest}
method = "lora"
seed = 1
thresholds = "those of the base"

[training]
epochs = 1
steps_per_epoch = 1
n_objects = 1
n_sub_iteration = 1
search_ais = false
validation_tasks = ["box"]
hyperparameters = {{rank = 2}}

[[sets]]
name = {name}
license = "CC0-1.0"
attribution = "nobody"
source = "https://example.org/cells/tree/0123"
made = "Nothing was changed."
url = {url}

[evaluation]
data = "tiny cells"
tasks = ["box"]
"""


def recipe_text(base, name, *, url=""):
    """The recipe of a base folder and one set of images."""
    digest = ModelConfig.read(base / "config.json").weights_digest
    return RECIPE.format(digest=json.dumps(digest), name=json.dumps(name), url=json.dumps(url))


def write_files_csv(folder, name, output):
    """List the images in ``folder/name``; the first trains, the others validate and test."""
    with output.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        images = sorted((folder / name / "images").iterdir())
        for image, part in zip(images, ("train", "val", "test"), strict=True):
            label = folder / name / "labels" / image.name
            facts = [
                fact
                for path in (image, label)
                for fact in (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
            ]
            paths = (path.relative_to(folder).as_posix() for path in (image, label))
            writer.writerow((*paths, part, part, 2, "", "", *facts, "https://example.org"))
    return output
