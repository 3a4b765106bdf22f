"""``samzoo segment`` of large images, Zarr, stacks and folders."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from samzoo.runtime import load, merge_slices, read_labels
from samzoo.runtime.large import file_task
from samzoo.zoo.cli import main


@pytest.fixture
def run(capsys, monkeypatch, tmp_path, toy_package, discs):
    """Run ``segment`` with the toy model in a folder with an image of two discs."""
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("cells.tif", discs((100, 150), [(20, 20), (64, 96)], high=200))

    def run(*arguments):
        status = main(["segment", *map(str, arguments), "--model", str(toy_package), "--json"])
        out, errors = capsys.readouterr()
        return status, json.loads(out) if out else None, errors

    return run


@pytest.fixture
def stack(discs):
    """A bright rod through slices 1 to 4, which moves, and a blob in one of them."""
    planes = [discs((60, 70), []) for _ in range(6)]
    for z in range(1, 5):
        planes[z] = np.maximum(planes[z], discs((60, 70), [(20, 20 + z)]))
    planes[3] = np.maximum(planes[3], discs((60, 70), [(40, 50)]))
    return np.stack(planes)


def test_a_large_image_goes_in_pieces_with_the_same_labels(run, monkeypatch):
    assert run("cells.tif", "-o", "whole.tif")[0] == 0
    monkeypatch.setattr(file_task, "WHOLE_PIXELS", 1000)
    status, result, _ = run(
        "cells.tif", "-o", "pieces.tif", "--overlay", "o.png", "--table", "t.csv"
    )
    assert status == 0
    assert result["images"][0]["objects"] == 2
    assert not result["images"][0]["resumed"]
    np.testing.assert_array_equal(tifffile.imread("pieces.tif"), tifffile.imread("whole.tif"))
    with open("t.csv") as file:
        assert [row["label"] for row in csv.DictReader(file)] == ["1", "2"]
    assert Path("o.png").read_bytes().startswith(b"\x89PNG")


def test_a_table_of_a_whole_image_is_the_same(run, monkeypatch):
    assert run("cells.tif", "-o", "a.tif", "--table", "a.csv")[0] == 0
    monkeypatch.setattr(file_task, "WHOLE_PIXELS", 1000)
    assert run("cells.tif", "-o", "b.tif", "--table", "b.csv")[0] == 0
    assert Path("a.csv").read_text() == Path("b.csv").read_text()


def test_folders_and_patterns_are_expanded(run, discs):
    Path("in").mkdir()
    for name in ("a", "b"):
        tifffile.imwrite(f"in/{name}.tif", discs((40, 50), [(20, 20)]))
    for given, output in (("in", "from-folder"), ("in/*.tif", "from-pattern")):
        status, result, errors = run(given, "-o", output)
        assert status == 0, errors
        assert [Path(row["labels"]).name for row in result["images"]] == ["a.tif", "b.tif"]
    status, _, errors = run("in/*.png", "-o", "none")
    assert (status, "no file matches" in errors) == (2, True)


def test_a_volume_joins_objects_over_slices(run, stack, toy_package):
    tifffile.imwrite("stack.tif", stack, metadata={"axes": "ZYX"})
    status, result, _ = run("stack.tif", "-o", "volume.tif", "--stack", "volume")
    assert (status, result["images"][0]["objects"]) == (0, 2)
    model = load(toy_package)
    expected = merge_slices(np.stack([model.segment(plane) for plane in stack]))
    np.testing.assert_array_equal(tifffile.imread("volume.tif"), expected)
    with tifffile.TiffFile("volume.tif") as file:
        assert file.series[0].axes == "ZYX"
    status, result, _ = run(
        "stack.tif", "-o", "thick.tif", "--stack", "volume", "--min-z-extent", 2
    )
    assert result["images"][0]["objects"] == 1


def test_placements_are_passed_on(run, stack):
    tifffile.imwrite("stack.tif", stack, metadata={"axes": "ZYX"})
    for image, more in (("cells.tif", ()), ("cells.tif", ("--level", 0)),
                        ("stack.tif", ("--stack", "frames"))):  # fmt: skip
        assert run(image, "-o", "a.tif", "--placements", 3, "--force", *more)[0] == 0
        assert run(image, "-o", "b.tif", *more, "--force")[0] == 0
        np.testing.assert_array_equal(tifffile.imread("a.tif") > 0, tifffile.imread("b.tif") > 0)
        status, _, errors = run(image, "-o", "c.tif", "--placements", 99, *more)
        assert (status, "allowed are 1 to 16" in errors) == (2, True)


def test_frames_and_planes_are_numbered_apart(run, stack):
    tifffile.imwrite("stack.tif", stack, metadata={"axes": "TYX"})
    status, result, _ = run("stack.tif", "-o", "frames.tif", "--stack", "frames")
    assert (status, result["images"][0]["objects"]) == (0, 5)
    with tifffile.TiffFile("frames.tif") as file:
        assert file.series[0].axes == "TYX"
    assert tifffile.imread("frames.tif").max(axis=(1, 2)).tolist() == [0, 1, 1, 2, 1, 0]
    status, result, _ = run("stack.tif", "-o", "plane.tif", "--plane", 3)
    assert (status, result["images"][0]["objects"]) == (0, 2)
    np.testing.assert_array_equal(tifffile.imread("plane.tif"), tifffile.imread("frames.tif")[3])


@pytest.mark.parametrize(("kind", "first"), [("volume", "label"), ("frames", "plane")])
def test_a_stack_has_a_table_and_a_picture(run, stack, kind, first):
    tifffile.imwrite("stack.tif", stack, metadata={"axes": "ZYX"})
    more = ("--table", "t.csv", "--overlay", "o.png")
    assert run("stack.tif", "-o", "l.tif", "--stack", kind, *more)[0] == 0
    labels = tifffile.imread("l.tif")
    with open("t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert next(iter(rows[0])) == first
    if kind == "volume":
        found = {int(row["label"]): int(row["voxels"]) for row in rows}
        assert found == dict(zip(*np.unique(labels[labels > 0], return_counts=True), strict=True))
    else:
        for plane, part in enumerate(labels):
            areas = {int(r["label"]): int(r["area"]) for r in rows if int(r["plane"]) == plane}
            assert areas == dict(zip(*np.unique(part[part > 0], return_counts=True), strict=True))
    with Image.open("o.png") as picture:
        drawn = np.asarray(picture)
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 3


def test_a_stack_without_a_choice_names_the_choices(run, stack):
    tifffile.imwrite("stack.tif", stack, metadata={"axes": "ZYX"})
    status, _, errors = run("stack.tif", "-o", "l.tif")
    assert status == 2
    assert "--plane, --channel or --stack" in errors
    status, _, errors = run("stack.tif", "-o", "l.tif", "--level", 0)
    assert (status, "holds 6 planes; pass --stack volume" in errors) == (2, True)


def test_a_stack_as_zarr_keeps_image_and_labels_together(run, stack):
    zarr = pytest.importorskip("zarr")
    tifffile.imwrite("stack.tif", stack, metadata={"axes": "ZYX"})
    assert run("stack.tif", "-o", "volume.tif", "--stack", "volume")[0] == 0
    assert run("stack.tif", "-o", "volume.zarr", "--stack", "volume")[0] == 0
    group = zarr.open_group("volume.zarr")
    np.testing.assert_array_equal(group["0"][:], stack)
    np.testing.assert_array_equal(group["labels/objects/0"][:], tifffile.imread("volume.tif"))
    axes = group.attrs["ome"]["multiscales"][0]["axes"]
    assert [axis["name"] for axis in axes] == ["z", "y", "x"]
    # And from there into its labels, by another name.
    assert run("volume.zarr", "-o", "volume.zarr/labels/again", "--stack", "volume")[0] == 0
    np.testing.assert_array_equal(group["labels/again/0"][:], group["labels/objects/0"][:])
    # One plane of it: the others stay background.
    assert run("volume.zarr", "-o", "volume.zarr/labels/one", "--plane", 3)[0] == 0
    one = group["labels/one/0"][:]
    assert one[3].max() == 2
    assert np.delete(one, 3, axis=0).max() == 0


@pytest.mark.filterwarnings("ignore")
def test_workers_give_the_same_labels(run):
    pytest.importorskip("distributed")
    assert run("cells.tif", "-o", "alone.tif")[0] == 0
    status, _, errors = run("cells.tif", "-o", "shared.tif", "--workers", 2)
    assert status == 0, errors
    np.testing.assert_array_equal(tifffile.imread("shared.tif"), tifffile.imread("alone.tif"))


def test_an_interrupted_run_says_that_it_can_go_on(run, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(file_task, "WHOLE_PIXELS", 1000)
    with monkeypatch.context() as patch:
        patch.setattr("samzoo.runtime.large.large_image.write_label_tiff", stop)
        status, _, errors = run("cells.tif", "-o", "l.tif")
    assert (status, errors) == (130, "samzoo: interrupted; run the same command again to go on\n")
    status, result, _ = run("cells.tif", "-o", "l.tif")
    assert result["images"][0]["resumed"]
    assert read_labels(Path("l.tif")).max() == 2


REFUSED = {
    "mode": (("--plane", 0, "--mode", "amg"), "--mode: found 'amg'"),
    "series": (("--series", 1), "--series: found 1, the file has 1: 0 to 0"),
    "level": (("--level", 3), "--level: found 3, the file has 1"),
    "channel": (("--channel", 1), "--channel: found 1, the file has 1"),
    "both": (("--workers", 1, "--scheduler", "tcp://127.0.0.1:9"), "not both"),
    "workers": (("--workers", 0), "expected at least 1"),
    "volume": (("--stack", "volume"), "found an image of 100 x 150 pixels, a volume needs slices"),
    "table": (("--table", "t.txt"), "tables are written as .csv"),
    "tile": (("--level", 0, "--tile-shape", 60, 60, "--halo", 9, 9), "field of view is 64"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_options_are_refused_and_nothing_is_written(run, name):
    if "workers" in name or name == "both":
        pytest.importorskip("distributed")
    arguments, message = REFUSED[name]
    status, _, errors = run("cells.tif", "-o", "l.tif", *arguments)
    assert status == 2
    assert message in errors
    assert sorted(path.name for path in Path().iterdir()) == ["cells.tif", "toy-package"]


def test_a_zarr_output_that_exists_is_kept(run):
    pytest.importorskip("zarr")
    assert run("cells.tif", "-o", "l.zarr")[0] == 0
    before = {p: p.read_bytes() for p in Path("l.zarr").rglob("*") if p.is_file()}
    status, _, errors = run("cells.tif", "-o", "l.zarr")
    assert (status, "exists already; pass --force" in errors) == (2, True)
    assert {p: p.read_bytes() for p in Path("l.zarr").rglob("*") if p.is_file()} == before
    assert run("cells.tif", "-o", "l.zarr", "--force")[0] == 0


def test_a_store_is_filled_and_prompted_from(run, toy_package, capsys):
    common = ["--model", str(toy_package), "--json", "--store", "store"]
    assert main(["prompt", "cells.tif", "-o", "a.tif", "--point", "96", "64", *common]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["tiles_encoded"] == 1
    assert main(["embed", "cells.tif", *common]) == 0
    filled = json.loads(capsys.readouterr().out)
    assert filled["tiles_encoded"] == filled["tiles"] - 1
    assert main(["prompt", "cells.tif", "-o", "b.tif", "--point", "96", "64", *common]) == 0
    assert json.loads(capsys.readouterr().out)["tiles_encoded"] == 0
    np.testing.assert_array_equal(tifffile.imread("a.tif"), tifffile.imread("b.tif"))
    assert main(["prompt", "cells.tif", "-o", "c.tif", "--point", "96", "64", *common[:-2]]) == 0
    np.testing.assert_array_equal(tifffile.imread("a.tif"), tifffile.imread("c.tif"))


def test_an_image_too_large_for_masks_gets_its_labels_in_bands(run, toy_package, monkeypatch):
    common = ["--model", str(toy_package), "--store", "store", "--point", "96", "64"]
    assert main(["prompt", "cells.tif", "-o", "a.tif", *common]) == 0
    monkeypatch.setattr("samzoo.zoo.cli.prompt_command.MAX_PIXELS", 1000)
    assert main(["prompt", "cells.tif", "-o", "b.tif", *common]) == 0
    np.testing.assert_array_equal(tifffile.imread("a.tif"), tifffile.imread("b.tif"))


def test_embed_wants_a_file_or_a_store(run, toy_package, capsys):
    assert main(["embed", "cells.tif", "--model", str(toy_package)]) == 2
    assert "give -o FILE.safetensors, or --store DIR" in capsys.readouterr().err


@pytest.fixture
def follow(run, stack, toy_package, capsys):
    """Prompt the rod in slice 2 and follow it."""
    tifffile.imwrite("stack.tif", stack, metadata={"axes": "ZYX"})

    def follow(*arguments, image="stack.tif"):
        given = ["prompt", image, "--slice", "2", "--point", "22", "20", *map(str, arguments)]
        status = main([*given, "--model", str(toy_package), "--json"])
        out, errors = capsys.readouterr()
        return status, json.loads(out) if out else None, errors

    return follow


@pytest.mark.parametrize("store", [[], ["--store", "store"]])
def test_a_prompt_in_one_slice_is_followed_through_the_stack(follow, stack, store):
    status, result, errors = follow("-o", "rod.tif", "--iou-threshold", 0.5, *store)
    assert status == 0, errors
    assert result["objects"][0]["slices"] == [1, 4]
    labels = tifffile.imread("rod.tif")
    assert labels.shape == stack.shape
    assert labels.max(axis=(1, 2)).tolist() == [0, 1, 1, 1, 1, 0]
    assert result["objects"][0]["voxels"] == int((labels == 1).sum())
    # The blob of slice 3 is another object.
    assert labels[3, 40, 50] == 0
    np.testing.assert_array_equal(labels[2] > 0, stack[2] > 0)


def test_following_refuses_what_is_no_stack_or_slice(follow):
    status, _, errors = follow("-o", "rod.tif", image="cells.tif")
    assert (status, "expected slices, height and width" in errors) == (2, True)
    status, _, errors = follow("-o", "rod.png")
    assert (status, "labels of a stack are written as .tif" in errors) == (2, True)
    status, _, errors = follow("-o", "rod.tif", "--slice", 6)
    assert (status, "--slice: found 6, the stack has 6: 0 to 5" in errors) == (2, True)
    status, _, errors = follow("-o", "rod.tif", "--iou-threshold", 2)
    assert (status, "iou_threshold: found 2.0, allowed are 0 to 1" in errors) == (2, True)
