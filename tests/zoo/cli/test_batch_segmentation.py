"""Batch jobs: each file has its own verdict, what is done stays done, nothing is mixed."""

import csv
import dataclasses
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from samzoo.runtime import read_labels, write_labels
from samzoo.runtime.batch.folder_run import FolderRun
from samzoo.runtime.batch.records import Records
from samzoo.runtime.errors import WriteError
from samzoo.runtime.large import file_segmentation
from samzoo.zoo import load
from samzoo.zoo.cli import batch_segmentation, main
from samzoo.zoo.cli.batch_segmentation import duration

CENTERS = [(15, 20), (40, 90), (100, 30), (85, 110)]


@pytest.fixture
def segment(capsys, tmp_path, monkeypatch, toy_package):
    """Segment with the toy model in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def segment(*arguments):
        status = main(["segment", *map(str, arguments), "--model", str(toy_package), "--json"])
        out, errors = capsys.readouterr()
        return status, json.loads(out) if out else None, errors

    return segment


@pytest.fixture
def three(segment, discs):
    """A folder ``in`` with the images a, b and c, of 1, 2 and 3 discs."""
    os.mkdir("in")
    for count, name in enumerate("abc", start=1):
        tifffile.imwrite(f"in/{name}.tif", discs((120, 128), CENTERS[:count]))
    return segment


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def verdicts(result):
    return {Path(row["image"]).name: row["verdict"] for row in result["images"]}


def counts():
    return {row["image"]: row["objects"] for row in rows("out/counts.csv")}


def write_containers(picture):
    """The same picture in the containers and kinds of this field; returns their names."""
    rgb = np.stack([picture] * 3, axis=2)
    alpha = np.dstack([rgb, np.full_like(picture, 255)])
    tiffs: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
        "t8": (picture, {}), "t16": (picture.astype(np.uint16) * 257, {}),
        "tfloat": (picture.astype(np.float32) / 255, {}), "trgb": (rgb, {"photometric": "rgb"}),
        "trgba": (alpha, {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
        "ttiles": (picture, {"tile": (64, 64)}), "tzlib": (picture, {"compression": "zlib"}),
        "tbig": (picture, {"bigtiff": True}), "tswap": (picture, {"byteorder": ">"}),
        "tome.ome": (picture, {"ome": True, "metadata": {"axes": "YX"}}),
    }  # fmt: skip
    for name, (pixels, options) in tiffs.items():
        tifffile.imwrite(f"in/{name}.tif", pixels, **options)
    pillows = {
        "p8.png": Image.fromarray(picture), "prgb.png": Image.fromarray(rgb),
        "p16.png": Image.fromarray(picture.astype(np.uint16) * 257),
        "palette.png": Image.fromarray(picture).convert("P"), "j.jpg": Image.fromarray(picture),
    }  # fmt: skip
    for name, image in pillows.items():
        image.save(f"in/{name}", quality=98)  # PNG has none
    return [*(f"{name}.tif" for name in tiffs), *pillows]


def test_fifteen_containers_and_five_troubles_in_one_folder_each_get_their_verdict(segment, discs):
    os.mkdir("in")
    picture = discs((120, 128), CENTERS)
    good = write_containers(picture)
    assert len(good) == 15
    tifffile.imwrite("in/p8.tif", discs((120, 128), CENTERS[:2]))  # the name of p8.png
    whole = Path("in/t8.tif").read_bytes()
    Path("in/corrupt.tif").write_bytes(whole[: len(whole) // 2])
    tifffile.imwrite("in/stack.tif", np.stack([picture] * 5), metadata={"axes": "ZYX"})
    Path("in/empty.tif").touch()
    Path("in/other.czi").write_bytes(b"ZISRAWFILE" + bytes(500))
    for name in ("Thumbs.db", ".DS_Store", "notes.csv"):
        Path("in", name).write_bytes(b"x")

    status, result, errors = segment("in", "-o", "out", "--overlay", "--table")

    assert status == 4
    found = verdicts(result)
    assert {name: found.pop(name) for name in good} == dict.fromkeys(good, "done")
    assert found == {
        "p8.tif": "done", "corrupt.tif": "failed", "stack.tif": "failed", "empty.tif": "failed",
        "other.czi": "failed", "Thumbs.db": "skipped", ".DS_Store": "skipped",
        "notes.csv": "skipped",
    }  # fmt: skip
    assert (result["done"], result["skipped"], result["failed"]) == (16, 3, 4)
    truth = read_labels(Path("out/labels/t8.tif")) > 0
    for row in result["images"]:
        if row["verdict"] == "done":
            labels = read_labels(Path(row["labels"]))
            assert labels.max() == row["objects"]
            assert Path(row["overlay"]).read_bytes().startswith(b"\x89PNG")
            if not row["image"].endswith(("p8.tif", "j.jpg")):
                np.testing.assert_array_equal(labels > 0, truth, row["image"])
    expected = {**dict.fromkeys(good, "4"), "p8.tif": "2"}
    expected |= dict.fromkeys(("corrupt.tif", "stack.tif", "empty.tif", "other.czi"), "")
    assert counts() == expected
    per_image = [row["image"] for row in rows("out/objects.csv")]
    assert {name: per_image.count(name) for name in set(per_image)} == {
        name: int(count) for name, count in expected.items() if count
    }
    names = {Path(row["image"]).name: Path(row["labels"]).name
             for row in result["images"] if "labels" in row}  # fmt: skip
    assert (names["p8.png"], names["p8.tif"]) == ("p8.tif", "p8_tif.tif")
    assert names["tome.ome.tif"] == "tome.tif"
    for name, why in (("corrupt.tif", "damaged"), ("stack.tif", "stack"), ("empty.tif", "empty")):
        assert [line for line in errors.splitlines() if f"{name}: failed: " in line and why in line]
    assert "[1/20] " in errors
    assert "samzoo: 16 done, 4 failed" in errors
    assert not list(Path("out").rglob("*.part*"))


def test_what_is_done_is_skipped_and_said(three):
    assert three("in", "-o", "out", "--overlay", "--table")[0] == 0
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in Path("out/labels").iterdir()}
    status, result, errors = three("in", "-o", "out", "--overlay", "--table")
    assert (status, verdicts(result)) == (0, dict.fromkeys(["a.tif", "b.tif", "c.tif"], "skipped"))
    assert "[2/3] b.tif: skipped, done already (2 objects)" in errors
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in before} == before
    assert counts() == {"a.tif": "1", "b.tif": "2", "c.tif": "3"}
    shutil.move("in", "moved")  # the images' folder is not part of what was done
    assert verdicts(three("moved", "-o", "out")[1]) == verdicts(result)
    assert sorted(p.name for p in Path("out/labels").iterdir()) == ["a.tif", "b.tif", "c.tif"]


def test_force_does_all_again(three):
    assert three("in", "-o", "out")[0] == 0
    before = Path("out/labels/a.tif").stat().st_mtime_ns
    status, result, _ = three("in", "-o", "out", "--force")
    assert (status, set(verdicts(result).values())) == (0, {"done"})
    assert Path("out/labels/a.tif").stat().st_mtime_ns > before


def test_a_changed_image_is_done_again_and_said(three, discs):
    assert three("in", "-o", "out", "--table")[0] == 0
    state = os.stat("in/a.tif")
    tifffile.imwrite("in/a.tif", discs((120, 128), CENTERS[1:2]))  # as many bytes
    os.utime("in/a.tif", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert os.stat("in/a.tif").st_size == state.st_size
    status, result, errors = three("in", "-o", "out", "--table")
    assert (status, verdicts(result)["a.tif"], verdicts(result)["b.tif"]) == (0, "done", "skipped")
    assert "a.tif: has changed since the last run, and was segmented again" in errors
    labels = read_labels(Path("out/labels/a.tif"))
    assert labels[40, 90] == 1
    assert labels[15, 20] == 0


def test_other_settings_are_refused_before_any_work_and_never_mixed(three, make_package, tmp_path):
    assert three("in", "-o", "out", "--table")[0] == 0
    before = {p: p.read_bytes() for p in Path("out").rglob("*") if p.is_file()}
    status, _, errors = three("in", "-o", "out", "--mode", "apg")
    assert status == 2
    assert "mode: 'ais' then, 'apg' now" in errors
    assert "--force" in errors
    assert {p: p.read_bytes() for p in Path("out").rglob("*") if p.is_file()} == before
    status, _, errors = three("in/a.tif", "-o", "out", "--mode", "apg", "--force")
    assert (status, "choose another output folder" in errors) == (2, True)  # b and c would stay
    status, result, _ = three("in", "-o", "out", "--mode", "apg", "--force")
    assert (status, set(verdicts(result).values())) == (0, {"done"})


def test_another_model_is_another_setting(three, make_package, toy_config, capsys):
    assert three("in", "-o", "out")[0] == 0
    make_package(Path("other"), config=toy_config(intensity="percentile"))
    assert main(["segment", "in", "-o", "out", "--model", "other"]) == 2
    assert "model: 'sha256:" in capsys.readouterr().err


def test_labels_that_a_person_corrected_are_kept(three, discs):
    assert three("in", "-o", "out")[0] == 0
    corrected = np.full((120, 128), 7, np.uint16)
    tifffile.imwrite("out/labels/a.tif", corrected)
    status, _, errors = three("in", "-o", "out")
    assert (status, "changed after samzoo wrote it, and is kept" in errors) == (0, True)
    tifffile.imwrite("in/a.tif", discs((120, 128), CENTERS))
    status, result, errors = three("in", "-o", "out")
    assert (status, verdicts(result)["a.tif"]) == (4, "failed")
    assert "pass --force to replace the labels" in errors
    np.testing.assert_array_equal(tifffile.imread("out/labels/a.tif"), corrected)
    assert three("in", "-o", "out", "--force")[0] == 0
    assert read_labels(Path("out/labels/a.tif")).max() == 4


def test_files_that_samzoo_did_not_write_are_not_replaced(three):
    os.makedirs("out/labels")
    Path("out/labels/b.tif").write_bytes(b"mine")
    status, result, errors = three("in", "-o", "out")
    assert (status, verdicts(result)["b.tif"]) == (4, "failed")
    assert "exists already; pass --force" in errors
    assert Path("out/labels/b.tif").read_bytes() == b"mine"
    Path("out/counts.csv").write_text("my,table\n")
    status, _, errors = three("in", "-o", "out", "--table")
    assert (status, "counts.csv: exists already" in errors) == (2, True)


def stop_at(monkeypatch, number, error):
    """Let the segmentation of this image, from 1, raise an error after the labels are made."""
    calls = []

    def stopping(path, labels, **facts):
        calls.append(path)
        if len(calls) == number:
            raise error
        write_labels(path, labels, **facts)

    monkeypatch.setattr(file_segmentation, "write_labels", stopping)


def test_an_interrupted_run_goes_on_and_its_tables_are_right(three, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, 2, KeyboardInterrupt())
        status, result, errors = three("in", "-o", "out", "--table", "--overlay")
    assert (status, result) == (130, None)
    assert "samzoo: 1 done" in errors
    assert "interrupted; run the same command again to go on" in errors
    assert [p.name for p in Path("out/labels").iterdir()] == ["a.tif"]
    assert counts() == {"a.tif": "1"}
    status, result, _ = three("in", "-o", "out", "--table", "--overlay")
    assert (status, list(verdicts(result).values())) == (0, ["skipped", "done", "done"])
    assert counts() == {"a.tif": "1", "b.tif": "2", "c.tif": "3"}


@pytest.mark.parametrize("moment", ["labels moved", "nothing moved", "part file left"])
def test_a_killed_run_goes_on(three, moment):
    """What a kill leaves: the image is begun, and some of its files are there or not."""
    assert three("in", "-o", "out", "--table")[0] == 0
    record = Path("out/.samzoo/b.json")
    record.write_text(record.read_text().replace('"done"', '"begun"'))
    if moment == "nothing moved":
        os.remove("out/labels/b.tif")
        os.remove("out/.samzoo/b.csv")
    if moment == "part file left":
        Path("out/.samzoo/work").mkdir(exist_ok=True)
        Path("out/.samzoo/work/b.tif").write_bytes(b"half")
        Path("out/.samzoo/work/.b.1.part.tif").write_bytes(b"half")
    status, result, _ = three("in", "-o", "out", "--table")
    assert (status, list(verdicts(result).values())) == (0, ["skipped", "done", "skipped"])
    assert counts() == {"a.tif": "1", "b.tif": "2", "c.tif": "3"}
    assert read_labels(Path("out/labels/b.tif")).max() == 2


def test_an_interrupted_run_with_force_goes_on_without_it(three, monkeypatch):
    assert three("in", "-o", "out")[0] == 0
    with monkeypatch.context() as patch:
        stop_at(patch, 2, KeyboardInterrupt())
        assert three("in", "-o", "out", "--mode", "apg", "--force")[0] == 130
    status, result, _ = three("in", "-o", "out", "--mode", "apg")
    assert (status, list(verdicts(result).values())) == (0, ["skipped", "done", "done"])


def test_a_full_disk_ends_the_run_and_keeps_what_is_done(three, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, 2, WriteError("out/labels/b.tif: cannot be written (No space left)"))
        status, result, errors = three("in", "-o", "out")
    assert status == 3
    assert verdicts(result) == {"a.tif": "done"}
    assert "No space left" in result["error"]
    assert "make room, or see that the folder can be written, and run the same" in errors
    with monkeypatch.context() as patch:
        stop_at(patch, 1, OSError(28, "No space left on device"))  # reported by a library
        assert three("in", "-o", "out")[0] == 3
    assert three("in", "-o", "out")[0] == 0


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("odd")])
def test_one_image_that_trips_samzoo_does_not_stop_the_others(three, monkeypatch, error):
    with monkeypatch.context() as patch:
        stop_at(patch, 2, error)
        status, result, _ = three("in", "-o", "out")
    assert (status, list(verdicts(result).values())) == (4, ["done", "failed", "done"])


def test_nothing_to_segment_is_an_error(three):
    os.mkdir("none")
    Path("none/notes.txt").touch()
    for given in ("none", "none/notes.txt"):
        status, result, errors = three(given, "-o", "out")
        assert (status, result) == (2, None)
        assert "no image" in errors
    Path("none/a.tif").touch()
    status, result, errors = three("none", "-o", "out")
    assert (status, result["failed"]) == (2, 1)
    assert not Path("out/labels").exists()


def test_a_name_that_does_not_exist_fails_alone(three):
    status, result, _ = three("in/a.tif", "in/typo.tif", "in/*.jpg", "-o", "out")
    assert status == 4
    assert verdicts(result) == {"a.tif": "done", "typo.tif": "failed", "*.jpg": "failed"}


def test_options_that_exclude_each_other_are_refused_once(three):
    status, result, errors = three("in", "-o", "out", "--gap-closing", 1)
    assert (status, result, errors.count("is for volumes")) == (2, None, 1)
    assert not Path("out").exists()


def test_one_image_goes_to_a_folder_or_a_file(three):
    for given in ("in/a.tif", "in/a*.tif"):
        status, result, _ = three(given, "-o", f"out-{len(given)}")
        assert (status, Path(result["images"][0]["labels"]).name) == (0, "a.tif")
        assert three(given, "-o", f"l-{len(given)}.tif")[0] == 0
    status, _, errors = three("in/a.tif", "-o", "l.tif", "--overlay")
    assert (status, "--overlay: needs a name" in errors) == (2, True)


def test_results_among_the_images_are_not_segmented(three):
    assert three("in/a.tif", "-o", "in/labels.tif", "--overlay", "in/overlay.png")[0] == 0
    for _ in range(2):
        status, result, errors = three("in", "-o", "in", "--overlay", "--table")
        assert status == 0
        assert verdicts(result)["labels.tif"] == verdicts(result)["overlay.png"] == "skipped"
        assert "skipped labels.tif, overlay.png: labels or an overlay that samzoo wrote" in errors
    assert sorted(p.name for p in Path("in/labels").iterdir()) == ["a.tif", "b.tif", "c.tif"]


def test_images_of_one_name_in_two_folders_keep_apart(three, discs):
    os.mkdir("more")
    tifffile.imwrite("more/a.tif", discs((120, 128), CENTERS))
    status, _, _ = three("in", "more", "-o", "out", "--table")
    assert status == 0
    assert read_labels(Path("out/labels/a.tif")).max() == 1
    assert read_labels(Path("out/labels/more_a.tif")).max() == 4
    assert counts() == {"in/a.tif": "1", "b.tif": "2", "c.tif": "3", "more/a.tif": "4"}


def test_images_in_pieces_go_on_where_they_were(three, monkeypatch):
    pytest.importorskip("distributed", reason="--workers needs it")

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("samzoo.runtime.large.large_image.write_label_tiff", stop)
        assert three("in", "-o", "out", "--workers", 1, "--table")[0] == 130
    status, result, _ = three("in", "-o", "out", "--workers", 1, "--table")
    assert (status, [row["resumed"] for row in result["images"]]) == (0, [True, False, False])
    assert counts() == {"a.tif": "1", "b.tif": "2", "c.tif": "3"}
    assert three("in", "-o", "whole", "--table")[0] == 0
    assert Path("whole/objects.csv").read_text() == Path("out/objects.csv").read_text()


def test_stacks_have_one_table_too(segment, stack):
    os.mkdir("in")
    for name in ("p", "q"):
        tifffile.imwrite(f"in/{name}.tif", stack, metadata={"axes": "ZYX"})
    status, _, errors = segment("in", "-o", "out", "--stack", "volume", "--table")
    assert status == 0, errors
    assert [(row["image"], row["label"]) for row in rows("out/objects.csv")] == [
        ("p.tif", "1"), ("p.tif", "2"), ("q.tif", "1"), ("q.tif", "2"),
    ]  # fmt: skip


def test_the_model_is_opened_once(three, monkeypatch):
    opened = []

    def counted(*given, **options):
        opened.append(given)
        return load(*given, **options)

    monkeypatch.setattr("samzoo.zoo.cli.model_loading.load", counted)
    assert three("in", "-o", "out")[0] == 0
    assert len(opened) == 1


def test_long_work_is_estimated_once(three, monkeypatch, capsys):
    monkeypatch.setattr(batch_segmentation, "ESTIMATE_AFTER", 1)
    monkeypatch.setattr(batch_segmentation, "ESTIMATE_SECONDS", 0.0)
    _, _, errors = three("in", "-o", "out")
    assert errors.count("samzoo: about ") == 1
    assert "for the other 2 images" in errors
    assert [duration(s) for s in (45, 1400, 30000)] == ["45 s", "23 min", "8 h 20 min"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow text names only")
def test_a_file_name_that_is_no_text_does_not_stop_the_run(three, discs):
    name = os.fsdecode(b"in/\xff.tif")
    tifffile.imwrite(name, discs((120, 128), CENTERS))
    status, _, errors = three("in", "-o", "out", "--table", "--overlay")
    assert status == 0, errors
    assert counts()["\\udcff.tif"] == "4"


def test_notes_and_failures_name_the_image_once(three):
    turned = np.zeros((120, 128), np.uint8)
    tifffile.imwrite("in/b.tif", turned, extratags=[(274, "H", 1, 6, True)])
    tifffile.imwrite("in/c.tif", np.zeros((3, 8, 8), np.uint8), photometric="minisblack")
    status, result, errors = three("in", "-o", "out")
    assert status == 4
    notes = {Path(row["image"]).name: row.get("notes", []) for row in result["images"]}
    assert any(note.startswith("the picture was turned") for note in notes["b.tif"])
    assert os.getcwd() not in errors


def test_a_very_long_name_does_not_stop_the_others(three):
    os.rename("in/a.tif", f"in/{'x' * 251}.tif")
    status, result, _ = three("in", "-o", "out", "--overlay", "--table")
    assert (status, result["done"]) == (0, 3)
    assert three("in", "-o", "out")[1]["skipped"] == 3


def test_an_empty_folder_is_named(three):
    os.mkdir("none")
    status, _, errors = three("none", "-o", "out")
    assert status == 2
    assert errors.startswith("samzoo: none: holds no image; looked for .tif")


def test_labels_given_as_the_image_are_told(three):
    three("in", "-o", "out")
    status, result, _ = three("out/labels/b.tif", "-o", "again.tif")
    assert status == 0
    assert any("labels or an overlay that samzoo wrote" in note for note in result["notes"])


def test_two_runs_of_other_settings_that_start_at_once_do_not_mix(three, monkeypatch):
    """The second has seen an empty folder before the first wrote to it."""
    three("in", "-o", "out")
    before = {path.name: path.read_bytes() for path in Path("out/labels").iterdir()}
    monkeypatch.setattr(FolderRun, "check", lambda run: None)
    status, result, errors = three("in", "-o", "out", "--placements", "2")
    assert status == 2
    assert set(verdicts(result).values()) == {"failed"}
    assert "another run is writing to out with other settings (placements: 1 then, 2 now)" in errors
    assert {path.name: path.read_bytes() for path in Path("out/labels").iterdir()} == before


def test_a_run_that_begins_while_an_image_is_segmented_does_not_mix(three, monkeypatch):
    begun = Records.write

    def by_another(records, name, record):
        begun(records, name, record)
        if record.state == "begun":  # now the other process says that it begins, too
            begun(records, name, dataclasses.replace(record, settings={"placements": 2}))

    with monkeypatch.context() as patch:
        patch.setattr(Records, "write", by_another)
        status, _, errors = three("in", "-o", "out")
    assert status == 2
    assert "another run is writing to out" in errors
    assert not Path("out/labels").exists()
