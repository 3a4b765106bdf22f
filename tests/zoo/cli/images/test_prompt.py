"""``samzoo prompt``: points, boxes and files; embeddings that are kept; objects in stacks."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from samzoo.runtime import Model, read_labels
from samzoo.runtime.prompts.batches import central_tile
from samzoo.runtime.prompts.derivation import mask_as_logits, prompt_of_mask
from samzoo.zoo.cli import main

POOR = "samzoo: the model expects its masks to be poor (predicted IoU below 0.5; object 1: 0."
"""What samzoo says of the toy model's masks, whose predicted IoU is low."""


def test_prompt_by_points_boxes_file_and_embeddings_agree(run, image, tmp_path):
    prompts = tmp_path / "prompts.json"
    prompts.write_text(json.dumps([{"box": [10, 5, 30, 25]}]))
    embeddings = tmp_path / "cells.safetensors"
    status, out, err = run("embed", image, "-o", embeddings)
    assert (status, out, err) == (0, f"{embeddings}\n", "")
    results = []
    for number, arguments in enumerate([
        (image, "--box", 10, 5, 30, 25),
        (image, "--point", 20, 15),
        (image, "--point", 20, 15, "--label", 1, "--box", 10, 5, 30, 25),
        (image, "--prompts", prompts),
        (embeddings, "--prompts", prompts),
    ]):  # fmt: skip
        output = tmp_path / f"{number}.tif"
        status, out, err = run("prompt", *arguments, "-o", output)
        assert (status, out) == (0, f"{output}\n")
        assert err.startswith(POOR)
        results.append(read_labels(output))
    image_pixels = tifffile.imread(image)
    image_pixels[:, 40:] = image_pixels[40:] = 0
    for labels in results:
        np.testing.assert_array_equal(labels, image_pixels > 0)


def test_prompt_numbers_objects_in_the_order_given(run, image, tmp_path):
    prompts = tmp_path / "prompts.json"
    given = [
        {"points": [[90, 40]], "labels": [1]},
        {"box": [10, 5, 30, 25]},
        {"points": [[30, 100], [0, 119]], "labels": [1, 0]},
    ]
    prompts.write_text(json.dumps(given))
    output, overlay = tmp_path / "l.tif", tmp_path / "o.png"
    status, out, _ = run(
        "prompt", image, "-o", output, "--prompts", prompts, "--overlay", overlay, "--json"
    )
    assert status == 0
    labels = read_labels(output)
    assert [labels[40, 90], labels[15, 20]] == [1, 2]
    rows = json.loads(out)["objects"]
    assert [row["label"] for row in rows] == [1, 2, 3]
    assert [row["iou_prediction"] for row in rows] == pytest.approx([0.1, 0.2, 0.2])
    assert rows[0]["pixels"] == (labels == 1).sum()
    assert overlay.is_file()


def test_boxes_without_points_are_one_object_each(run, image, tmp_path):
    output = tmp_path / "l.tif"
    run("prompt", image, "-o", output, "--box", 10, 5, 30, 25, "--box", 80, 30, 100, 50)
    labels = read_labels(output)
    assert [labels[15, 20], labels[40, 90]] == [1, 2]


def test_a_store_is_filled_and_prompted_from(two_discs, toy_package, capsys):
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


@pytest.mark.parametrize(
    ("boxes", "encoded"), [(((84, 52, 108, 76),), 1), (((84, 52, 108, 76), (8, 8, 32, 32)), 2)]
)
def test_only_tiles_that_hold_an_object_are_encoded(two_discs, toy_package, capsys, boxes, encoded):
    given = [str(value) for box in boxes for value in ("--box", *box)]
    common = ["prompt", "cells.tif", "--model", str(toy_package), "--json", *given]
    assert main([*common, "-o", "a.tif"]) == 0
    assert json.loads(capsys.readouterr().out)["tiles_encoded"] == encoded
    assert main(["embed", "cells.tif", "-o", "all.safetensors", *common[2:4]]) == 0
    capsys.readouterr()
    assert main(["prompt", "all.safetensors", *common[2:], "-o", "b.tif"]) == 0
    assert "tiles_encoded" not in json.loads(capsys.readouterr().out)
    np.testing.assert_array_equal(tifffile.imread("a.tif"), tifffile.imread("b.tif"))


def test_an_image_too_large_for_masks_gets_its_labels_in_bands(two_discs, toy_package, monkeypatch):
    common = ["--model", str(toy_package), "--store", "store", "--point", "96", "64"]
    assert main(["prompt", "cells.tif", "-o", "a.tif", *common]) == 0
    monkeypatch.setattr("samzoo.zoo.cli.image_prompting.MAX_PIXELS", 1000)
    assert main(["prompt", "cells.tif", "-o", "b.tif", *common]) == 0
    np.testing.assert_array_equal(tifffile.imread("a.tif"), tifffile.imread("b.tif"))


@pytest.fixture
def follow(two_discs, stack, toy_package, capsys):
    """Prompt the rod in slice 2 and follow it."""
    tifffile.imwrite("stack.tif", stack, metadata={"axes": "ZYX"})

    def follow(*arguments, image="stack.tif", start=2):
        given = ["prompt", image, "--slice", str(start), "--point", "22", "20"]
        given += map(str, arguments)
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
    assert (status, "name of a stack's label file must end in .tif" in errors) == (2, True)
    status, _, errors = follow("-o", "rod.tif", start=6)
    assert (status, "--slice: found 6, the stack has 6: 0 to 5" in errors) == (2, True)
    status, _, errors = follow("-o", "rod.tif", "--iou-threshold", 2)
    assert (status, "iou_threshold: found 2.0, allowed are 0 to 1" in errors) == (2, True)


UNUSED = {
    "following": (("--iou-threshold", "0.5", "--projection", "mask"),
                  "--projection, --iou-threshold: follows objects through a stack"),
    "plane": (("--slice", "1", "--plane", "1"), "--plane: --slice chooses the plane already"),
    "overlay": (("--slice", "1", "--overlay", "o.png"), "--overlay: is for images; omit"),
    "level": (("--level", "1"), "--level: found 1, the file has 1"),
    "series": (("--series", "2"), "--series: found 2, the file has 1"),
    "channel": (("--channel", "7"), "--channel: found 7, the image is grey"),
    "label": (("--prompts", "p.json", "--label", "1"), "give either --prompts, or --mask, or"),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNUSED)
def test_options_that_would_not_be_used_are_refused(two_discs, toy_package, capsys, kind):
    arguments, message = UNUSED[kind]
    common = ["prompt", "cells.tif", "-o", "l.tif", "--point", "20", "20"]
    assert main([*common, *arguments, "--model", str(toy_package)]) == 2
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in two_discs.iterdir()) == ["cells.tif", "toy-package"]


def test_embeddings_in_a_file_take_no_plane(run, image, tmp_path):
    assert run("embed", image, "-o", tmp_path / "e.safetensors")[0] == 0
    box = ("--box", 10, 5, 30, 25)
    status, _, errors = run(
        "prompt", tmp_path / "e.safetensors", "-o", tmp_path / "l.tif", *box, "--plane", 0
    )
    assert (status, "--plane: a file of embeddings holds one image" in errors) == (2, True)


def test_a_rough_mask_prompts_each_of_its_objects(run, image, tmp_path, monkeypatch):
    rough = np.zeros((120, 128), np.uint8)
    rough[5:25, 10:30], rough[30:50, 80:100] = 7, 255
    given, prompt_parts = [], Model.prompt_parts

    def remember(model, embeddings, **arguments):
        given.append((model.config, embeddings.tiles, arguments))
        return prompt_parts(model, embeddings, **arguments)

    monkeypatch.setattr(Model, "prompt_parts", remember)
    tifffile.imwrite(tmp_path / "rough.tif", rough)
    Image.fromarray(rough).save(tmp_path / "rough.png")
    np.save(tmp_path / "rough.npy", rough)
    for suffix in ("tif", "png", "npy"):
        output, mask = tmp_path / f"of_{suffix}.tif", tmp_path / f"rough.{suffix}"
        status, out, err = run("prompt", image, "-o", output, "--mask", mask, "--json")
        assert status == 0, err
        assert [row["label"] for row in json.loads(out)["objects"]] == [1, 2]
        config, tiles, arguments = given[-1]
        np.testing.assert_array_equal(arguments["boxes"], [[10, 5, 30, 25], [80, 30, 100, 50]])
        expected = []
        for mask in (rough == 7, rough == 255):
            tile = tiles[central_tile(prompt_of_mask(mask, "box"), tiles)]
            expected.append(mask_as_logits(mask, tile, config))
        np.testing.assert_array_equal(arguments["mask_input"], expected)
        assert all((each > 0).any() for each in expected)


def test_masks_that_cannot_prompt_are_refused(run, image, tmp_path):
    def prompt(*arguments):
        status, _, errors = run("prompt", image, "-o", tmp_path / "l.tif", *arguments)
        assert status == 2
        return errors

    mask = tmp_path / "mask.tif"
    tifffile.imwrite(mask, np.zeros((120, 128), np.uint8))
    assert "mask.tif: holds no object to prompt with" in prompt("--mask", mask)
    tifffile.imwrite(mask, np.ones((128, 120), np.uint8))
    assert "the labels are 128 x 120 pixels, the image is 120 x 128" in prompt("--mask", mask)
    assert "give either --prompts, or --mask" in prompt("--mask", mask, "--point", 1, 1)
    assert "is for images; omit --slice" in prompt("--mask", mask, "--slice", 1)
    assert not (tmp_path / "l.tif").exists()


def test_a_mask_in_a_prompt_file_prompts_as_the_option_does(run, image, tmp_path, discs):
    tifffile.imwrite(tmp_path / "m.tif", discs((120, 128), [(16, 21)], high=1))
    (tmp_path / "p.json").write_text('[{"mask": "m.tif"}]')
    by_option, by_file = tmp_path / "a.tif", tmp_path / "b.tif"
    assert run("prompt", image, "-o", by_option, "--mask", tmp_path / "m.tif")[0] == 0
    assert run("prompt", image, "-o", by_file, "--prompts", tmp_path / "p.json")[0] == 0
    np.testing.assert_array_equal(tifffile.imread(by_file), tifffile.imread(by_option))
    assert tifffile.imread(by_file).any()
    status, _, errors = run(
        "prompt", image, "-o", tmp_path / "c.tif", "--prompts", tmp_path / "p.json", "--slice", 0
    )
    assert (status, "p.json: mask: is for images; omit it, or omit --slice" in errors) == (2, True)


def test_prompts_take_the_estimate(sized):
    words = ("--diameter", "auto", "--json")
    for more in ((), ("--store", "s")):
        place = ("-o", f"m{len(more)}.tif", *more)
        status, out, err = sized("prompt", "discs.tif", "--point", 30, 30, *place, *words)
        assert status == 0
        assert "samzoo: diameter 20 px (estimated), scale 0.5" in err
        assert json.loads(out)["used_diameter"] == 20.0
    np.testing.assert_array_equal(read_labels("m0.tif"), read_labels("m2.tif"))
    with tifffile.TiffFile("m0.tif") as file:
        record = json.loads((file.imagej_metadata or {})["samzoo"])
    assert record["diameter_from"] == "estimated"
    assert sized("embed", "discs.tif", "-o", "e.safetensors")[0] == 0
    status, _, err = sized("prompt", "e.safetensors", "--point", 30, 30, "-o", "n.tif", *words)
    assert (status, "embeddings have their scale already" in err) == (2, True)


def test_a_stack_takes_the_estimate_of_its_prompted_slice(sized):
    image = tifffile.imread("discs.tif")
    planes = np.stack([0 * image, image, image, 0 * image])
    tifffile.imwrite("planes.tif", planes, photometric="minisblack", metadata={"axes": "ZYX"})
    words = ("prompt", "planes.tif", "--slice", 2, "--point", 30, 30, "-o", "m.tif", "--json")
    status, out, err = sized(*words, "--diameter", "auto")
    assert status == 0
    assert "diameter 20 px (estimated)" in err
    assert json.loads(out)["diameter_from"] == "estimated"
    with tifffile.TiffFile("m.tif") as file:
        assert json.loads((file.imagej_metadata or {})["samzoo"])["used_diameter"] == 20.0


def test_boxes_say_how_large_their_objects_are(sized):
    """The boxes' ellipses have the area of circles of 16 pixels; the image is not looked at."""
    boxes = ("--box", 22, 20, 38, 36, "--box", 67, 71, 83, 87, "--box", 110, 110, 135, 120)
    words = ("prompt", "discs.tif", *boxes, "--diameter", "auto", "--json")
    for more in ((), ("--store", "s")):
        status, out, err = sized(*words, "-o", f"b{len(more)}.tif", *more)
        assert status == 0
        assert "samzoo: diameter 16 px (of the boxes), scale 0.62" in err
        found = json.loads(out)
        assert (found["used_diameter"], found["diameter_from"]) == (16.0, "boxes")
    np.testing.assert_array_equal(read_labels("b0.tif"), read_labels("b2.tif"))
    image = tifffile.imread("discs.tif")
    planes = np.stack([0 * image, image, image, 0 * image])
    tifffile.imwrite("planes.tif", planes, photometric="minisblack", metadata={"axes": "ZYX"})
    status, out, _ = sized(
        "prompt", "planes.tif", "--slice", 2, "--box", 22, 20, 38, 36, "-o", "m.tif", "--json",
        "--diameter", "auto",
    )  # fmt: skip
    assert (status, json.loads(out)["diameter_from"]) == (0, "boxes")
