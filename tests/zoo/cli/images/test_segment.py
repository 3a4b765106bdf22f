"""``samzoo segment``: small images, large ones, Zarr, stacks and folders; adapters of a package."""

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

CENTERS = [(15, 20), (40, 90), (100, 30), (85, 110)]


def test_segment_writes_labels_and_prints_their_path_only(run, image, tmp_path):
    output = tmp_path / "labels.tif"
    assert run("segment", image, "-o", output) == (0, f"{output}\n", "")
    labels = read_labels(output)
    np.testing.assert_array_equal(labels > 0, tifffile.imread(image) > 0)
    assert labels.max() == len(CENTERS)


def test_segment_prints_one_json_object(run, image, tmp_path):
    output, overlay = tmp_path / "l.png", tmp_path / "o.png"
    status, out, err = run("segment", image, "-o", output, "--overlay", overlay, "--json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert found["images"] == [{
        "image": str(image), "labels": str(output), "objects": 4,
        "used_diameter": None, "used_scale": 1.0, "diameter_from": "own",
    }]  # fmt: skip
    assert found["overlay"] == str(overlay)
    assert "text" not in found
    with Image.open(overlay) as picture:
        assert picture.mode == "RGB"
        assert picture.size == (4 * 128, 4 * 120)
    assert read_labels(output).max() == 4


def test_segment_takes_tiles_and_threads(run, image, tmp_path):
    run("segment", image, "-o", tmp_path / "a.tif")
    status, _, err = run(
        "segment", image, "-o", tmp_path / "b.tif", "--tile-shape", 40, 40, "--halo", 8, 12,
        "--threads", 1, "--provider", "cpu",
    )  # fmt: skip
    assert (status, err) == (0, "")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), read_labels(tmp_path / "b.tif"))


def test_segment_takes_a_mode(run, image, tmp_path):
    run("segment", image, "-o", tmp_path / "ais.tif")
    status, _, err = run("segment", image, "-o", tmp_path / "apg.tif", "--mode", "apg")
    assert (status, err) == (0, "")
    np.testing.assert_array_equal(
        read_labels(tmp_path / "ais.tif"), read_labels(tmp_path / "apg.tif")
    )
    # The toy's predicted IoU is 0.1, so that nothing passes the thresholds of the grid.
    status, out, _ = run("segment", image, "-o", tmp_path / "amg.tif", "--mode", "amg", "--json")
    assert status == 0
    assert json.loads(out)["images"][0]["objects"] == 0


def test_several_images_go_to_a_folder(run, image, tmp_path):
    second = tmp_path / "photo.png"
    Image.fromarray(np.full((20, 30), 7, np.uint8)).save(second)
    folder = tmp_path / "deep" / "out"
    status, out, _ = run("segment", image, second, "-o", folder)
    assert status == 0
    labels = folder / "labels"
    assert out.splitlines() == [str(labels / "cells.tif"), str(labels / "photo.tif")]
    assert sorted(path.name for path in folder.iterdir()) == [".samzoo", "labels"]
    assert sorted(path.name for path in labels.iterdir()) == ["cells.tif", "photo.tif"]
    assert read_labels(labels / "cells.tif").max() == 4


def test_the_default_model_segments_without_being_named(run, image, tmp_path):
    output = tmp_path / "labels.tif"
    status, out, err = run("segment", image, "-o", output, model=False)
    assert (status, out) == (0, f"{output}\n")
    assert read_labels(output).shape == (120, 128)
    assert err.startswith("samzoo: no object was found, though the model takes 3% of the image for")


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32", "rgb", "rgba"])
def test_the_default_model_finds_discs_whatever_the_file_stores(tmp_path, capsys, discs, kind):
    """The same picture in every bit depth; its objects are those drawn."""
    centers = [(30, 30), (30, 90), (90, 60)]
    picture = np.clip(discs((120, 120), centers, radius=11) * 0.6 + 20, 0, 255).astype(np.uint8)
    stored = {
        "uint8": picture,
        "uint16": picture.astype(np.uint16) * 257,
        "float32": picture.astype(np.float32) / 255,
        "rgb": np.stack([picture] * 3, axis=2),
        "rgba": np.stack([picture] * 3 + [np.full_like(picture, 255)], axis=2),
    }[kind]
    path, output = tmp_path / "discs.tif", tmp_path / "labels.tif"
    tifffile.imwrite(path, stored, photometric="rgb" if kind.startswith("rgb") else "minisblack")
    assert main(["segment", str(path), "-o", str(output)]) == 0
    labels = read_labels(output)
    found = [labels[row, column] for row, column in centers]
    assert 0 not in found
    assert len(set(found)) == len(centers)
    assert labels.max() <= len(centers) + 1


# Large images, Zarr and stacks


@pytest.fixture
def segment(capsys, two_discs, toy_package):
    """Segment with the toy model in a folder with an image of two discs."""

    def segment(*arguments):
        status = main(["segment", *map(str, arguments), "--model", str(toy_package), "--json"])
        out, errors = capsys.readouterr()
        return status, json.loads(out) if out else None, errors

    return segment


def test_a_large_image_goes_in_pieces_with_the_same_labels(segment, monkeypatch):
    assert segment("cells.tif", "-o", "whole.tif")[0] == 0
    monkeypatch.setattr(file_task, "WHOLE_PIXELS", 1000)
    status, result, _ = segment(
        "cells.tif", "-o", "pieces.tif", "--overlay", "o.png", "--table", "t.csv"
    )
    assert status == 0
    assert result["images"][0]["objects"] == 2
    assert not result["images"][0]["resumed"]
    np.testing.assert_array_equal(tifffile.imread("pieces.tif"), tifffile.imread("whole.tif"))
    with open("t.csv") as file:
        assert [row["label"] for row in csv.DictReader(file)] == ["1", "2"]
    assert Path("o.png").read_bytes().startswith(b"\x89PNG")


def test_a_table_of_a_whole_image_is_the_same(segment, monkeypatch):
    assert segment("cells.tif", "-o", "a.tif", "--table", "a.csv")[0] == 0
    monkeypatch.setattr(file_task, "WHOLE_PIXELS", 1000)
    assert segment("cells.tif", "-o", "b.tif", "--table", "b.csv")[0] == 0
    assert Path("a.csv").read_text() == Path("b.csv").read_text()


def test_folders_and_patterns_are_expanded(segment, discs):
    Path("in").mkdir()
    for name in ("a", "b"):
        tifffile.imwrite(f"in/{name}.tif", discs((40, 50), [(20, 20)]))
    for given, output in (("in", "from-folder"), ("in/*.tif", "from-pattern")):
        status, result, errors = segment(given, "-o", output)
        assert status == 0, errors
        assert [Path(row["labels"]).name for row in result["images"]] == ["a.tif", "b.tif"]
    status, _, errors = segment("in/*.png", "-o", "none")
    assert (status, "no file matches" in errors) == (2, True)


def test_a_volume_joins_objects_over_slices(segment, stack, toy_package):
    tifffile.imwrite("stack.tif", stack, metadata={"axes": "ZYX"})
    status, result, _ = segment("stack.tif", "-o", "volume.tif", "--stack", "volume")
    assert (status, result["images"][0]["objects"]) == (0, 2)
    model = load(toy_package)
    expected = merge_slices(np.stack([model.segment(plane) for plane in stack]))
    np.testing.assert_array_equal(tifffile.imread("volume.tif"), expected)
    with tifffile.TiffFile("volume.tif") as file:
        assert file.series[0].axes == "ZYX"
    status, result, _ = segment(
        "stack.tif", "-o", "thick.tif", "--stack", "volume", "--min-z-extent", 2
    )
    assert result["images"][0]["objects"] == 1


def test_placements_are_passed_on(segment, stack):
    tifffile.imwrite("stack.tif", stack, metadata={"axes": "ZYX"})
    for image, more in (("cells.tif", ()), ("cells.tif", ("--level", 0)),
                        ("stack.tif", ("--stack", "frames"))):  # fmt: skip
        assert segment(image, "-o", "a.tif", "--placements", 3, "--force", *more)[0] == 0
        assert segment(image, "-o", "b.tif", *more, "--force")[0] == 0
        np.testing.assert_array_equal(tifffile.imread("a.tif") > 0, tifffile.imread("b.tif") > 0)
        status, _, errors = segment(image, "-o", "c.tif", "--placements", 99, *more)
        assert (status, "allowed are 1 to 16" in errors) == (2, True)


def test_averages_are_passed_on(segment, stack):
    tifffile.imwrite("stack.tif", stack, metadata={"axes": "ZYX"})
    for image, more in (("cells.tif", ()), ("stack.tif", ("--stack", "frames"))):
        assert segment(image, "-o", "a.tif", "--average", 2, "--force", *more)[0] == 0
        status, _, errors = segment(image, "-o", "c.tif", "--average", 3, *more)
        assert (status, "average: found 3, allowed are 1, 2, 4, 8" in errors) == (2, True)


def test_frames_and_planes_are_numbered_apart(segment, stack):
    tifffile.imwrite("stack.tif", stack, metadata={"axes": "TYX"})
    status, result, _ = segment("stack.tif", "-o", "frames.tif", "--stack", "frames")
    assert (status, result["images"][0]["objects"]) == (0, 5)
    with tifffile.TiffFile("frames.tif") as file:
        assert file.series[0].axes == "TYX"
    assert tifffile.imread("frames.tif").max(axis=(1, 2)).tolist() == [0, 1, 1, 2, 1, 0]
    status, result, _ = segment("stack.tif", "-o", "plane.tif", "--plane", 3)
    assert (status, result["images"][0]["objects"]) == (0, 2)
    np.testing.assert_array_equal(tifffile.imread("plane.tif"), tifffile.imread("frames.tif")[3])


@pytest.mark.parametrize(("kind", "first"), [("volume", "label"), ("frames", "plane")])
def test_a_stack_has_a_table_and_a_picture(segment, stack, kind, first):
    tifffile.imwrite("stack.tif", stack, metadata={"axes": "ZYX"})
    more = ("--table", "t.csv", "--overlay", "o.png")
    assert segment("stack.tif", "-o", "l.tif", "--stack", kind, *more)[0] == 0
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


def test_a_stack_without_a_choice_names_the_choices(segment, stack):
    tifffile.imwrite("stack.tif", stack, metadata={"axes": "ZYX"})
    status, _, errors = segment("stack.tif", "-o", "l.tif")
    assert status == 2
    assert "choose one of 6 planes with --plane, from 0 to 5" in errors
    assert "--stack volume or --stack frames" in errors


def test_a_stack_as_zarr_keeps_image_and_labels_together(segment, stack):
    zarr = pytest.importorskip("zarr")
    tifffile.imwrite("stack.tif", stack, metadata={"axes": "ZYX"})
    assert segment("stack.tif", "-o", "volume.tif", "--stack", "volume")[0] == 0
    assert segment("stack.tif", "-o", "volume.zarr", "--stack", "volume")[0] == 0
    group = zarr.open_group("volume.zarr")
    np.testing.assert_array_equal(group["0"][:], stack)
    np.testing.assert_array_equal(group["labels/objects/0"][:], tifffile.imread("volume.tif"))
    axes = group.attrs["ome"]["multiscales"][0]["axes"]
    assert [axis["name"] for axis in axes] == ["z", "y", "x"]
    # And from there into its labels, by another name.
    assert segment("volume.zarr", "-o", "volume.zarr/labels/again", "--stack", "volume")[0] == 0
    np.testing.assert_array_equal(group["labels/again/0"][:], group["labels/objects/0"][:])
    # One plane of it: the others stay background.
    assert segment("volume.zarr", "-o", "volume.zarr/labels/one", "--plane", 3)[0] == 0
    one = group["labels/one/0"][:]
    assert one[3].max() == 2
    assert np.delete(one, 3, axis=0).max() == 0


@pytest.mark.filterwarnings("ignore")
def test_workers_give_the_same_labels(segment):
    pytest.importorskip("distributed")
    assert segment("cells.tif", "-o", "alone.tif")[0] == 0
    status, _, errors = segment("cells.tif", "-o", "shared.tif", "--workers", 2)
    assert status == 0, errors
    np.testing.assert_array_equal(tifffile.imread("shared.tif"), tifffile.imread("alone.tif"))


def test_an_interrupted_run_says_that_it_can_go_on(segment, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(file_task, "WHOLE_PIXELS", 1000)
    with monkeypatch.context() as patch:
        patch.setattr("samzoo.runtime.large.large_image.write_label_tiff", stop)
        status, _, errors = segment("cells.tif", "-o", "l.tif")
    assert (status, errors) == (130, "samzoo: interrupted; run the same command again to resume\n")
    status, result, _ = segment("cells.tif", "-o", "l.tif")
    assert result["images"][0]["resumed"]
    assert read_labels(Path("l.tif")).max() == 2


def test_a_zarr_output_that_exists_is_kept(segment):
    pytest.importorskip("zarr")
    assert segment("cells.tif", "-o", "l.zarr")[0] == 0
    before = {p: p.read_bytes() for p in Path("l.zarr").rglob("*") if p.is_file()}
    status, _, errors = segment("cells.tif", "-o", "l.zarr")
    assert (status, "exists already; pass --force" in errors) == (2, True)
    assert {p: p.read_bytes() for p in Path("l.zarr").rglob("*") if p.is_file()} == before
    assert segment("cells.tif", "-o", "l.zarr", "--force")[0] == 0


REFUSED = {
    "mode": (("--stack", "frames", "--mode", "amg"), "--mode: found 'amg'"),
    "series": (("--series", 1), "--series: found 1, the file has 1: 0 to 0"),
    "level": (("--level", 3), "--level: found 3, the file has 1"),
    "channel": (("--channel", 1), "--channel: found 1, the image is grey"),
    "both": (("--workers", 1, "--scheduler", "tcp://127.0.0.1:9"), "not both"),
    "workers": (("--workers", 0), "expected at least 1"),
    "volume": (("--stack", "volume"), "an image of 100 x 150 pixels, a stack needs"),
    "table": (("--table", "t.txt"), "tables are written as .csv"),
    "gap": (("--gap-closing", 1), "--gap-closing: is for volumes; pass --stack volume"),
    "extent": (("--stack", "frames", "--min-z-extent", 1), "--min-z-extent: is for volumes"),
    "tile": (("--level", 0, "--tile-shape", 60, 60, "--halo", 9, 9), "field of view is 64"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_options_are_refused_and_nothing_is_written(segment, name):
    if "workers" in name or name == "both":
        pytest.importorskip("distributed")
    arguments, message = REFUSED[name]
    status, _, errors = segment("cells.tif", "-o", "l.tif", *arguments)
    assert status == 2
    assert message in errors
    assert sorted(path.name for path in Path().iterdir()) == ["cells.tif", "toy-package"]


# Packages of several adapters


def test_segment_uses_the_named_adapter_and_the_first_by_default(run_shared):
    common = ("segment", "cells.tif", "--model", "shared", "--json")
    status, out, _ = run_shared(*common, "-o", "a.tif", "--adapter", "bright")
    assert (status, json.loads(out)["adapter"]) == (0, "bright")
    assert read_labels(Path("a.tif")).max() == 2
    status, out, _ = run_shared(*common, "-o", "b.tif")
    assert (status, json.loads(out)["adapter"]) == (0, "dark")
    assert read_labels(Path("b.tif")).max() == 0


def test_an_unknown_adapter_lists_the_known_ones(run_shared):
    status, out, errors = run_shared(
        "segment", "cells.tif", "-o", "a.tif", "--model", "shared", "--adapter", "x"
    )
    assert (status, out) == (2, "")
    assert errors == "samzoo: adapter: found 'x', this package has: dark, bright\n"
    assert not Path("a.tif").exists()


def test_the_default_model_takes_no_adapter(run_shared):
    status, _, errors = run_shared("segment", "cells.tif", "-o", "a.tif", "--adapter", "x")
    assert (status, errors) == (
        2, "samzoo: adapter: found 'x', this package holds one model only\n"
    )  # fmt: skip


def coloured(planes, channels):
    """A stack in colours; each plane in the channels of its number."""
    found = np.zeros((*planes.shape, 3), np.uint8)
    for number, each in enumerate(channels):
        found[number][..., each] = planes[number][..., np.newaxis]
    return found


def test_the_only_channel_of_a_stack_is_chosen_once_and_told(segment, stack):
    tifffile.imwrite("grey.tif", stack, metadata={"axes": "ZYX"})
    blue = coloured(stack, [[2]] * len(stack))
    tifffile.imwrite("blue.tif", blue, photometric="rgb", metadata={"axes": "ZYXS"})
    for name in ("grey", "blue"):
        status, result, _ = segment(f"{name}.tif", "-o", f"{name}-l.tif", "--stack", "volume")
        assert status == 0
    assert any("only the blue channel holds anything" in note for note in result["notes"])
    np.testing.assert_array_equal(tifffile.imread("blue-l.tif"), tifffile.imread("grey-l.tif"))


def test_planes_in_one_channel_beside_others_are_told(segment, stack):
    mixed = coloured(stack, [[2]] * 3 + [[0]] * (len(stack) - 3))
    tifffile.imwrite("mixed.tif", mixed, photometric="rgb", metadata={"axes": "ZYXS"})
    status, result, _ = segment("mixed.tif", "-o", "l.tif", "--stack", "frames")
    assert status == 0
    assert any("planes only one channel holds anything" in note for note in result["notes"])
    assert segment("mixed.tif", "-o", "b.tif", "--stack", "frames", "--channel", "blue")[0] == 0
    assert not tifffile.imread("b.tif")[3:].any()


def test_an_image_in_pieces_gets_the_notes_of_a_whole_one(segment, make_package, monkeypatch):
    saturated = np.full((120, 128), 255, np.uint8)
    saturated[:60] = np.arange(128)
    tifffile.imwrite("bright.tif", saturated)
    _, whole, _ = segment("bright.tif", "-o", "a.tif")
    monkeypatch.setattr(file_task, "WHOLE_PIXELS", 1000)
    _, pieces, _ = segment("bright.tif", "-o", "b.tif")
    saturation = [note for note in whole["notes"] if "highest value" in note or "saturat" in note]
    assert saturation
    assert set(saturation) <= set(pieces["notes"])


SIZED = {"used_diameter": 20.0, "used_scale": 0.5009, "diameter_from": "estimated"}


def test_the_estimate_is_said_and_recorded(sized):
    words = ("segment", "discs.tif", "--diameter", "auto", "--json")
    status, out, err = sized(*words, "-o", "l.tif", "--table", "t.csv")
    assert (status, err) == (0, "samzoo: diameter 20 px (estimated), scale 0.5\n")
    (row,) = json.loads(out)["images"]
    assert {name: row[name] for name in SIZED} == SIZED
    with tifffile.TiffFile("l.tif") as file:
        assert json.loads((file.imagej_metadata or {})["samzoo"]) == SIZED
    sized(*words, "-o", "l.png")
    with Image.open("l.png") as picture:
        assert json.loads(picture.info["Description"]) == {"samzoo": SIZED}
    with open("t.csv", newline="") as table:
        found = list(csv.DictReader(table))
    assert len(found) == 16
    assert all({name: row[name] for name in SIZED}
               == {name: str(value) for name, value in SIZED.items()} for row in found)  # fmt: skip
    np.testing.assert_array_equal(read_labels("l.tif"), read_labels("l.png"))


def test_a_folder_has_an_estimate_for_each_file(sized):
    twice = np.kron(tifffile.imread("discs.tif"), np.ones((2, 2), np.uint8))
    Path("in").mkdir()
    tifffile.imwrite("in/a.tif", tifffile.imread("discs.tif"))
    tifffile.imwrite("in/b.tif", twice)
    words = ("segment", "in", "-o", "out", "--diameter", "auto", "--table", "--json")
    status, out, err = sized(*words)
    assert status == 0
    assert "a.tif: 16 objects, diameter 20 px (estimated), scale 0.5, " in err
    assert "b.tif: 16 objects, diameter 40 px (estimated), scale 0.25, " in err
    with open("out/counts.csv", newline="") as table:
        found = list(csv.DictReader(table))
    assert [row["diameter_from"] for row in found] == ["estimated"] * 2
    assert [row["used_diameter"] for row in found] == ["20.0", "39.9"]
    again = json.loads(sized(*words)[1])["images"]  # skipped, and known all the same
    assert again[0]["used_diameter"] == json.loads(out)["images"][0]["used_diameter"] == 20.0


def test_a_model_that_is_not_sure_says_so(sized):
    tifffile.imwrite("one.tif", np.eye(90, dtype=np.uint8))
    status, out, err = sized("segment", "one.tif", "-o", "l.tif", "--diameter", "auto", "--json")
    assert status == 0
    assert "could not be estimated, so the model's own scale is used" in err
    assert json.loads(out)["images"][0]["diameter_from"] == "own"


def test_a_diameter_that_is_no_number_is_refused(sized):
    status, _, err = sized("segment", "discs.tif", "-o", "l.tif", "--diameter", "big")
    assert status == 2
    assert "found 'big', allowed: a number of pixels, auto or own" in err


def test_outlines_are_written_beside_the_labels_and_named_in_the_answer(segment):
    more = ("--outlines", "geojson", "--outlines", "imagej", "--outlines", "geojson")
    status, result, _ = segment("cells.tif", "-o", "l.tif", *more)
    assert (status, result["outlines"]) == (0, ["l.geojson", "l_rois.zip"])
    assert [Path(path).exists() for path in result["outlines"]] == [True, True]
    status, _, errors = segment("cells.tif", "-o", "l2.tif", "--table", "t.csv", *more)
    assert status == 0, errors
    Path("l3.geojson").touch()
    status, _, errors = segment("cells.tif", "-o", "l3.tif", *more)
    assert (status, "l3.geojson" in errors, Path("l3.tif").exists()) == (2, True, False)


def test_a_table_and_labels_say_the_size_of_a_pixel(segment, discs):
    image = discs((100, 150), [(20, 20), (64, 96)], high=200)
    tifffile.imwrite("sized.tif", image, imagej=True, resolution=(4, 4), metadata={"unit": "um"})
    assert segment("sized.tif", "-o", "l.ome.tif", "--table", "t.csv")[0] == 0
    with open("t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["image"] for row in rows} == {"sized.tif"}
    for row in rows:
        assert float(row["area_um2"]) == pytest.approx(int(row["area"]) / 16)
        assert float(row["mean_intensity"]) > 100
        assert 0.8 < float(row["circularity"]) <= 1
    with tifffile.TiffFile("l.ome.tif") as file:
        assert 'PhysicalSizeX="0.25"' in (file.ome_metadata or "")
