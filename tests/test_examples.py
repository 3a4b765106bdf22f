"""The programs in examples/ run offline with the default model, on a corner of the image."""

import csv
import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from samzoo.runtime import read_labels

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture
def corner(tmp_path):
    """A folder with ``examples/nuclei.tif``, which is the corner."""
    (tmp_path / "examples").mkdir()
    image = tifffile.imread(EXAMPLES / "nuclei.tif")[:128, :128]
    tifffile.imwrite(tmp_path / "examples" / "nuclei.tif", image)
    return tmp_path


def run(script, *arguments, cwd, **options):
    command = [sys.executable, str(EXAMPLES / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, **options)


def test_the_readme_lists_every_program():
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    files = [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.ipynb")]
    assert [path.name for path in files if f"`{path.name}`" not in text] == []


def test_the_interactive_loop_prompts_corrects_and_survives_wrong_lines(corner):
    lines = "hello\n+ 1\nnew 59 30\n+ 500 1\nbox 47 20 73 42\nnew 19 39\n- 2 100\ndone\nnew 1 1\n"
    done = run("interactive_loop.py", "examples/nuclei.tif", "o.png", cwd=corner, input=lines)
    assert (done.returncode, done.stderr) == (0, "")
    usage, answers = "type: new X Y", done.stdout.splitlines()
    starts = [usage, usage, "points", "object 1: ", "point (500, 1) lies outside", "object 1: ",
              "object 2: ", "object 2: "]  # fmt: skip
    assert [a.startswith(s) for a, s in zip(answers, starts, strict=True)] == [True] * 8
    with Image.open(corner / "o.png") as picture:
        assert picture.size == (512, 512)
        colours = np.array(picture).astype(int)
    assert (np.ptp(colours, axis=2) > 60).sum() > 1000  # objects are coloured, the image is grey


def test_the_batch_script_goes_on_where_it_stopped_and_tells_what_it_left_out(corner):
    folder = corner / "examples"
    (folder / "empty.png").write_bytes(b"")
    tifffile.imwrite(folder / "black.tif", np.zeros((40, 30), np.uint8))
    done = run("batch.py", "examples", "out", cwd=corner)
    assert done.returncode == 1
    assert done.stdout == "out/counts.csv\n"
    assert "left out: examples/empty.png: the file is empty" in done.stderr
    assert (corner / "out" / "overlays" / "nuclei.png").is_file()
    with (corner / "out" / "counts.csv").open(newline="") as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    assert rows["black.tif"] == {
        "image": "black.tif", "objects": "0", "median_area": "0.0", "covered": "0.0",
    }  # fmt: skip
    labels = read_labels(corner / "out" / "labels" / "nuclei.tif")
    areas = np.unique(labels[labels > 0], return_counts=True)[1]
    assert rows["nuclei.tif"]["objects"] == str(len(areas))
    assert float(rows["nuclei.tif"]["median_area"]) == np.median(areas)
    assert len(areas) >= 5

    (folder / "empty.png").unlink()
    (folder / "nuclei.tif").write_bytes(b"not read again: its labels are there")
    again = run("batch.py", "examples", "out", cwd=corner)
    assert (again.returncode, again.stderr) == (0, "")


def test_the_notebook_runs_and_shows_three_pictures(corner, monkeypatch):
    monkeypatch.chdir(corner)
    run_notebook = runpy.run_path(str(EXAMPLES / "run_notebook.py"))["run"]
    notebook = json.loads((EXAMPLES / "nuclei.ipynb").read_text(encoding="utf-8"))
    source = json.dumps(notebook)
    for cell in notebook["cells"]:  # its third point lies outside the corner
        cell["source"] = [line.replace("[[208, 55]]", "[[20, 39]]") for line in cell["source"]]
    outputs = run_notebook(notebook)
    pictures = [o for cell in outputs for o in cell if "image/jpeg" in o.get("data", {})]
    assert len(pictures) == 3
    stored = [cell["outputs"] for cell in json.loads(source)["cells"] if "outputs" in cell]
    assert [[o["output_type"] for o in cell] for cell in stored] == [
        [o["output_type"] for o in cell] for cell in outputs
    ]


def test_the_notebook_is_in_the_format_that_viewers_read():
    notebook = json.loads((EXAMPLES / "nuclei.ipynb").read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in notebook["cells"]:
        fields = {"cell_type", "id", "metadata", "source"}
        if cell["cell_type"] == "code":
            fields |= {"execution_count", "outputs"}
        assert set(cell) == fields
