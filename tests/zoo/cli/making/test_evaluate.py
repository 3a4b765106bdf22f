"""``samzoo evaluate``: reports of files and folders, and of the adapter that is named."""

import json
import os
import shlex
from pathlib import Path

import numpy as np
import pytest
import tifffile


def test_evaluate_writes_a_report_with_its_command(run, image, tmp_path):
    labels = tmp_path / "truth.tif"
    run("segment", image, "-o", labels)
    report = tmp_path / "report.json"
    status, out, err = run(
        "evaluate", "--images", image, "--labels", labels, "--tasks", "ais, box, ib", "-o", report,
        "--seed", 5,
    )  # fmt: skip
    assert status == 0
    assert err == "samzoo: 1 image, 4 objects, median diameter 10 px, smallest 10 px\n"
    rows = [line.split()[0] for line in out.splitlines() if line]
    assert rows == ["task", "ais", "box", "ib", "box_fill", "corrections", "ib"]
    found = json.loads(report.read_text())
    assert found["mean"]["ais"]["msa"] == 1.0
    assert found["mean"]["box"]["msa"] == 1.0
    assert found["n_objects"] == 4
    assert found["settings"]["seed"] == 5
    assert found["weights_digest"] == "sha256:toy"
    assert shlex.split(found["command"])[:4] == ["samzoo", "evaluate", "--images", str(image)]


def test_evaluate_matches_folders_by_name(run, image, tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    truth = (tifffile.imread(image) > 0).astype(np.uint8) * 255
    for name in ("b", "a"):
        (tmp_path / "images" / f"{name}.tif").write_bytes(image.read_bytes())
        tifffile.imwrite(tmp_path / "labels" / f"{name}.tif", truth)
    status, out, _ = run(
        "evaluate", "--images", tmp_path / "images", "--labels", tmp_path / "labels",
        "--tasks", "ais", "-o", tmp_path / "report.json", "--json", "--split-components",
    )  # fmt: skip
    assert status == 0
    assert json.loads(out)["mean"]["ais"]["msa"] == 1.0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["settings"]["split_components"] is True
    rows = report["images"]
    assert [os.path.basename(row["image"]) for row in rows] == ["a.tif", "b.tif"]


def test_evaluate_scores_the_named_adapter(run_shared, discs):
    truth = discs((64, 64), [(20, 20)], high=1) + discs((64, 64), [(45, 40)], high=2)
    tifffile.imwrite("truth.tif", truth)
    for name, score in (("bright", 1.0), ("dark", 0.0)):
        status, _, errors = run_shared(
            "evaluate", "--images", "cells.tif", "--labels", "truth.tif", "--tasks", "ais",
            "--model", "shared", "--adapter", name, "-o", f"{name}.json",
        )  # fmt: skip
        assert status == 0, errors
        report = json.loads(Path(f"{name}.json").read_text())
        assert (report["adapter"], report["mean"]["ais"]["sa50"]) == (name, score)


def test_a_mask_of_all_objects_is_refused_and_nothing_written(run, image, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("mask.tif", (tifffile.imread(image) > 0).astype(np.uint8))
    status, _, errors = run("evaluate", "--images", image, "--labels", "mask.tif", "-o", "r.json")
    assert status == 2
    assert "mask.tif: id 1 has 4 separate parts" in errors
    assert "pass --split-components" in errors
    assert not Path("r.json").exists()


def test_ignored_pixels_and_empty_images_are_told(run, image, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("segment", image, "-o", "truth.tif")
    truth = tifffile.imread("truth.tif")
    for folder in ("images", "labels"):
        Path(folder).mkdir()
    pixels = tifffile.imread(image)
    tifffile.imwrite("images/a.tif", pixels)
    tifffile.imwrite("images/b.tif", np.where(truth == 1, pixels, 0).astype(pixels.dtype))
    tifffile.imwrite("labels/a_masks.tif", np.where(truth == 1, 999, truth).astype(np.uint16))
    tifffile.imwrite("labels/b_masks.tif", np.zeros_like(truth))
    status, out, errors = run(
        "evaluate", "--images", "images", "--labels", "labels", "--tasks", "ais,point",
        "-o", "r.json", "--json", "--ignore", 999,
    )  # fmt: skip
    assert status == 0, errors
    assert "2 images, 3 objects" in errors
    assert "1 image without objects" in errors
    assert "1 of 2 images hold no object; these stay out of the means" in errors
    assert "found something in 1 of them" in errors
    found = json.loads(out)
    assert found["mean"]["ais"]["msa"] == 1.0  # the object that nobody annotated costs nothing
    assert found["negatives"] == {"images": 1, "with_false_objects": 1}
    rows = json.loads(Path("r.json").read_text())["images"]
    assert rows[1]["scores"] == {"ais": dict.fromkeys(("msa", "sa50", "sa75", "dice"), 0.0)}


def test_a_bad_pair_is_said_counted_and_exits_with_4(run, image, tmp_path):
    labels = tmp_path / "truth.tif"
    run("segment", image, "-o", labels)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for name in "ab":
        (tmp_path / "images" / f"{name}.tif").write_bytes(image.read_bytes())
        (tmp_path / "labels" / f"{name}.tif").write_bytes(labels.read_bytes())
    (tmp_path / "images" / "b.tif").write_bytes(b"")
    report = tmp_path / "report.json"
    status, out, err = run(
        "evaluate", "--images", tmp_path / "images", "--labels", tmp_path / "labels",
        "--tasks", "ais", "-o", report, "--json",
    )  # fmt: skip
    assert status == 4
    assert "b.tif: the file is empty" in err
    assert "1 scored, 1 left out" in err
    for found in (json.loads(out), json.loads(report.read_text())):
        assert (found["n_images"], found["n_left_out"]) == (1, 1)
        assert found["left_out"][0]["image"].endswith("b.tif")


def test_files_without_partner_are_left_out_told_and_exit_with_4(run, image, tmp_path):
    labels = tmp_path / "truth.tif"
    run("segment", image, "-o", labels)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for name in ("images/a.tif", "images/lone.tif"):
        (tmp_path / name).write_bytes(image.read_bytes())
    for name in ("labels/a.tif", "labels/stray.tif"):
        (tmp_path / name).write_bytes(labels.read_bytes())
    report = tmp_path / "report.json"
    status, out, err = run(
        "evaluate", "--images", tmp_path / "images", "--labels", tmp_path / "labels",
        "--tasks", "ais", "-o", report, "--json",
    )  # fmt: skip
    assert status == 4
    assert "lone.tif: no label image in" in err
    assert "1 scored, 2 left out" in err
    for found in (json.loads(out), json.loads(report.read_text())):
        assert (found["n_images"], found["n_left_out"]) == (1, 2)
        assert "stray.tif: no image in" in found["left_out"][1]["message"]


def test_what_was_turned_or_inverted_is_told(run, image, tmp_path):
    labels = tmp_path / "truth.tif"
    run("segment", image, "-o", labels)
    turned = tmp_path / "turned.tif"
    tifffile.imwrite(turned, np.rot90(tifffile.imread(image)), extratags=[(274, "H", 1, 6, True)])
    status, out, err = run(
        "evaluate", "--images", turned, "--labels", labels, "--tasks", "ais",
        "-o", tmp_path / "r.json", "--json",
    )  # fmt: skip
    assert status == 0
    assert "turned.tif: the picture was turned, as its orientation 6 says" in err
    assert "was turned" in json.loads(out)["read"]["notes"][0]
    assert json.loads(out)["mean"]["ais"]["msa"] == 1.0


def test_evaluate_scores_a_part_and_names_groups(run, image, tmp_path):
    for kind in ("images", "labels"):
        (tmp_path / "set" / kind).mkdir(parents=True)
    truth = tifffile.imread(image)
    for name in "abc":
        (tmp_path / "set/images" / f"{name}.tif").write_bytes(image.read_bytes())
        tifffile.imwrite(tmp_path / "set/labels" / f"{name}.tif", (truth > 0).astype(np.uint8))
    table = tmp_path / "set" / "split.csv"
    table.write_text("file,split,group\na.tif,train,f\nb.tif,test,g\nc.tif,test,h\n")
    words = ["evaluate", "--images", tmp_path / "set/images", "--labels", tmp_path / "set/labels"]
    words += ["--tasks", "ais", "--split-components", "-o", tmp_path / "r.json", "--force"]
    status, _, err = run(*words, "--part", "test")
    assert status == 0
    assert f"samzoo: {table}: scores 2 images in 2 groups of the part test\n" in err
    report = json.loads((tmp_path / "r.json").read_text())
    assert [row["group"] for row in report["images"]] == ["g", "h"]
    assert (report["part"], report["split"]) == ("test", str(table))
    (tmp_path / "set/labels" / "a.tif").rename(tmp_path / "a.tif")  # of another part
    assert run(*words, "--part", "test")[0] == 0
    (tmp_path / "a.tif").rename(tmp_path / "set/labels" / "a.tif")
    assert run(*words, "--split", "none")[0] == 0
    assert json.loads((tmp_path / "r.json").read_text())["n_images"] == 3
    for more, message in (
        ([], "choose one, such as --part test, or pass --split none to score all"),
        (["--split", table], "divides the images into parts; choose one, such as --part test"),
        (["--split", "none", "--part", "val"], "does not say in which part the images are"),
        (["--part", "val"], "no image is in the part 'val' (column split); found train, test"),
    ):
        status, _, err = run(*words, *more)
        assert (status, message in err) == (2, True), err


def test_controls_stand_beside_the_model_and_a_lost_comparison_is_told(run, image, tmp_path):
    pytest.importorskip("skimage")
    labels = tmp_path / "truth.tif"
    tifffile.imwrite(labels, (tifffile.imread(image) > 0).astype(np.uint8) * 255)
    report = tmp_path / "report.json"
    command = ("evaluate", "--images", image, "--labels", labels, "--split-components",
               "--tasks", "ais,box", "--controls", "-o", report)  # fmt: skip
    status, out, errors = run(*command)
    assert status == 0, errors
    rows = [line.split()[0] for line in out.splitlines()]
    assert rows == ["task", "ais", "otsu", "otsu_watershed", "li_watershed", "local_watershed",
                    "box", "box_fill"]  # fmt: skip
    found = json.loads(report.read_text())
    lost = "The model does not beat the control otsu in the task ais: msa 1.000 against 1.000"
    assert lost in errors
    assert found["controls"][0].startswith(lost)
    assert found["ap"]["otsu_watershed"]["ap50"] == 1.0


@pytest.mark.parametrize("option", ["--controls", "--orientations"])
def test_options_of_ais_are_refused_without_it(run, image, tmp_path, option):
    status, _, errors = run(
        "evaluate", "--images", image, "--labels", image, "--tasks", "box", option,
        "-o", tmp_path / "report.json",
    )  # fmt: skip
    assert status == 2
    assert f"{option}: is for the task ais" in errors


def test_strata_classes_and_orientations_have_tables_of_their_own(run, image, tmp_path):
    labels = tmp_path / "truth.tif"
    run("segment", image, "-o", labels)
    table = tmp_path / "facts.csv"
    table.write_text(f"file,group,stratum,classes\n{Path(image).name},f,dim,a|b|b|b\n")
    status, out, errors = run(
        "evaluate", "--images", image, "--labels", labels, "--split", table, "--tasks", "ais",
        "--orientations", "-o", tmp_path / "report.json",
    )  # fmt: skip
    assert status == 0, errors
    lines = [line.split() for line in out.splitlines()]
    assert ["stratum", "images", "groups", "objects", "ais", "msa", "ais", "ap50"] in lines
    assert ["dim", "1", "1", "4", "1.000", "1.000"] in lines
    assert ["a", "1", "1.000", "1.000"] in lines
    assert ["b", "3", "1.000", "1.000"] in lines
    assert ["msa", "1.000", "1.000", "1.000", "0.000"] in lines
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["classes"]["b"]["n_objects"] == 3


def test_models_are_compared_side_by_side_with_a_table_and_pictures(
    run, image, make_package, tmp_path
):
    labels = tmp_path / "truth.tif"
    run("segment", image, "-o", labels)
    one, two = (str(make_package(tmp_path / name)) for name in ("one", "two"))
    command = ["evaluate", "--images", image, "--labels", labels, "--tasks", "ais",
               "--model", one, "--model", two, "--table", tmp_path / "t.csv",
               "--pictures", tmp_path / "p", "-o", tmp_path / "r.json"]  # fmt: skip
    status, out, errors = run(*command, model=False)
    assert status == 0, errors
    assert errors.count("1 image, 4 objects") == 1
    assert [line for line in out.splitlines() if line in (one, two)] == [one, two]
    report = json.loads((tmp_path / "r.json").read_text())
    assert [each["model"] for each in report["models"]] == [one, two]
    assert report["differences"] == [{"model": two, "than": one, "intervals": {}}]
    rows = (tmp_path / "t.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["model", one, two]
    page = (tmp_path / "p" / "index.html").read_text()
    assert page.count("<figure>") == 2
    status, _, errors = run(*command, model=False)
    assert (status, "exists already" in errors) == (2, True)
    assert run(*command, "--force", model=False)[0] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "x", "--model", "x"], "--model: found x twice; name each model once"),
        (["--table", "scores.txt"], "scores.txt: the name of a table must end in .csv"),
        (["--pictures", "."], "exists already; pass --force"),
    ],
)
def test_wrong_names_of_models_and_outputs_are_refused(run, image, tmp_path, words, message):
    report = tmp_path / "r.json"
    command = ["evaluate", "--images", image, "--labels", image, *words, "-o", report]
    status, _, errors = run(*command, model=False)
    assert (status, message in errors) == (2, True), errors
    assert not report.exists()


def test_images_are_scored_at_the_scale_that_is_estimated(sized):
    truth, _ = sized("segment", "discs.tif", "-o", "truth.tif", "--diameter", 20)[:2]
    assert truth == 0
    words = ("evaluate", "--images", "discs.tif", "--labels", "truth.tif", "--tasks", "ais,box")
    found = {}
    for diameter in ("auto", "own"):
        report = f"{diameter}.json"
        status, _, err = sized(*words, "-o", report, "--diameter", diameter)
        assert status == 0, err
        found[diameter] = json.loads(Path(report).read_text())
        assert found[diameter]["diameter"] == diameter
    assert found["auto"]["mean"]["ais"]["msa"] == 1.0
