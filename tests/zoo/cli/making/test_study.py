"""``samzoo study``: all runs, on from where it stopped, and what failed."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import tiny

from samzoo.runtime.formats.files import write_json
from samzoo.zoo.cli import main
from samzoo.zoo.studies import processes
from samzoo.zoo.studies.processes import Ended

STUDY = f"""\
title = "Few cells"
untrained = true

[[bases]]
name = "tiny"
base = "base"

[[data]]
name = "cells"
images = "cells.csv"
numbers = [1]
tasks = ["box"]

[[methods]]
method = "lora"
[methods.training]
{tiny.QUICK.partition("[hyperparameters]")[0]}
[methods.hyperparameters]
rank = 2

[[methods]]
method = "freeze_encoder"
[methods.training]
{tiny.QUICK.partition("[hyperparameters]")[0]}
"""

WORDS = ("study", "study.toml", "-o", "out")


@pytest.fixture
def folder(tmp_path, monkeypatch, seeded_base):
    """A working folder with a study, its base and its images."""
    monkeypatch.chdir(tmp_path)
    rows = ["image,label,split"]
    for seed, part in enumerate(("train", "val", "test")):
        image, labels = tiny.make_cells((48, 64), seed, radius=5)
        tifffile.imwrite(f"{part}.tif", image)
        tifffile.imwrite(f"{part}_l.tif", labels.astype(np.uint8))
        rows.append(f"{part}.tif,{part}_l.tif,{part}")
    (tmp_path / "cells.csv").write_text("\n".join(rows))
    (tmp_path / "study.toml").write_text(STUDY)
    shutil.copytree(seeded_base, tmp_path / "base")
    return tmp_path


@pytest.fixture
def asked(folder, monkeypatch, seeded_base):
    """Stands in for the processes; ``asked.stop`` and ``asked.fail`` are methods."""

    class Asked(list[tuple[str, str]]):
        stop = fail = ""

    found = Asked()

    def run(words, log):
        run_folder = log.parent
        method = words[words.index("--method") + 1] if "--method" in words else ""
        found.append((words[0], method))
        if method and method == found.stop:
            raise KeyboardInterrupt
        if method and method == found.fail:
            return Ended(2, 0, "samzoo: no memory")
        if words[0] == "train":
            source = {"training": {"finished": True, "seconds_a_step": 0.5}}
            tiny.write_lora_adapter(
                run_folder / "run", seeded_base, "lora", {"rank": 2}, seed=0, source=source
            )
        elif words[0] == "evaluate":
            write_json(run_folder / "report.json", {"mean": {"box": {"msa": 0.5}}})
        return Ended(0, 10**9, "")

    monkeypatch.setattr(processes, "run_command", run)
    return found


def test_it_goes_on_where_it_stopped_and_does_nothing_twice(asked, capsys):
    asked.stop = "freeze_encoder"
    assert main(WORDS) == 130
    assert "2 of 3 runs are done; the same command goes on" in capsys.readouterr().err
    assert "| lora | 1 | **0.500** | 0.5 | 1000 |" in Path("out/table.md").read_text(
        encoding="utf-8"
    )
    asked.stop = ""
    asked.clear()
    assert main([*WORDS, "--json"]) == 0
    assert asked == [("train", "freeze_encoder"), ("export", ""), ("evaluate", "")]
    out, err = capsys.readouterr()
    assert json.loads(out)["done"] == 3
    assert "samzoo: [3/3] tiny, cells, freeze_encoder, 1 image, seed 0: train: out" in err
    asked.clear()
    assert main(WORDS) == 0
    assert asked == []
    assert capsys.readouterr().out.strip().endswith("table.md")


def test_a_run_that_fails_stops_no_others_and_is_tried_again(asked, capsys):
    asked.fail = "lora"
    assert main(WORDS) == 4
    err = capsys.readouterr().err
    assert "tiny, cells, lora, 1 image, seed 0: train failed with exit code 2: samzoo: no" in err
    assert "| freeze_encoder | 1 | **0.500** |" in Path("out/table.md").read_text(encoding="utf-8")
    asked.fail = ""
    asked.clear()
    assert main(WORDS) == 0
    assert asked[0] == ("train", "lora")


def test_a_changed_study_and_a_missing_base_are_refused(folder, asked, capsys, seeded_base):
    shutil.rmtree(folder / "base")
    assert main(WORDS) == 2
    assert "base/config.json" in capsys.readouterr().err
    assert asked == []
    assert not (folder / "out").exists()
    shutil.copytree(seeded_base, folder / "base")
    assert main(WORDS) == 0
    (folder / "study.toml").write_text(STUDY.replace("Few", "Many"))
    assert main(WORDS) == 2
    assert "differs in: title" in capsys.readouterr().err
    assert main(["study", "none.toml", "-o", "other"]) == 2
    assert "none.toml" in capsys.readouterr().err
    assert not (folder / "other").exists()


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.onnx
def test_a_whole_study(folder):
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    assert main(WORDS) == 0
    with (folder / "out/runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == ["untrained", "lora", "freeze_encoder"]
    for row in rows:
        assert 0 <= float(row["box"]) <= 1
    assert float(rows[1]["seconds_a_step"]) > 0
    assert float(rows[1]["peak_mb"]) > 50
