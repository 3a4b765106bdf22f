"""The command line with the toy model: results, streams and files of every verb without torch."""

import json
import os
import shlex
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from samzoo.runtime import read_labels
from samzoo.zoo.cli import main
from samzoo.zoo.cli.options import EXAMPLES
from samzoo.zoo.cli.verbs import build_parser

CENTERS = [(15, 20), (40, 90), (100, 30), (85, 110)]


@pytest.fixture
def run(capsys, toy_package):
    """Run a verb with the toy model; returns exit code, stdout and stderr."""

    def run(*arguments, model=True):
        given = [str(argument) for argument in arguments]
        given += ["--model", str(toy_package)] if model else []
        status = main(given)
        return (status, *capsys.readouterr())

    return run


@pytest.fixture
def image(tmp_path, discs):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, discs((120, 128), CENTERS))
    return path


def python(code, *arguments, **options):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


# The parser


@pytest.mark.parametrize("verb", EXAMPLES)
def test_every_verbs_example_parses_and_is_in_its_help(verb, capsys):
    program, *arguments = shlex.split(EXAMPLES[verb])
    assert program == "samzoo"
    assert build_parser().parse_args(arguments).verb == verb
    assert main([verb, "--help"]) == 0
    out, err = capsys.readouterr()
    assert EXAMPLES[verb] in " ".join(out.split())
    assert err == ""


def test_every_verb_has_an_example_and_a_function():
    from samzoo.zoo.cli import commands

    (action,) = (a for a in build_parser()._actions if a.dest == "verb")
    verbs = set(action.choices or ())
    assert verbs == set(EXAMPLES)
    assert all(callable(getattr(commands, verb)) for verb in verbs)


def test_help_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from samzoo.zoo.cli import main\n"
        "assert main(['--help']) == 0\n"
        "assert main(['segment', '--help']) == 0\n"
        "heavy = ('numpy', 'torch', 'onnxruntime', 'PIL', 'tifffile', 'tqdm', 'bioimage_cpp')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments",
    [[], ["dance"], ["segment"], ["segment", "a.tif"], ["prompt", "a.tif", "-o", "b.tif",
     "--point", "1"], ["segment", "a.tif", "-o", "b.tif", "--mode", "magic"],
     ["prompt", "a.tif", "-o", "b.tif", "--label", "2"], ["merge", "a", "-o", "b", "--colour"]],
)  # fmt: skip
def test_wrong_usage_is_exit_2_on_stderr(arguments, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: samzoo")


# segment


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
    assert found["images"] == [{"image": str(image), "labels": str(output), "objects": 4}]
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
    assert out.splitlines() == [str(folder / "cells.tif"), str(folder / "photo.tif")]
    assert sorted(path.name for path in folder.iterdir()) == ["cells.tif", "photo.tif"]
    assert read_labels(folder / "cells.tif").max() == 4


def test_the_default_model_segments_without_being_named(run, image, tmp_path):
    output = tmp_path / "labels.tif"
    status, out, err = run("segment", image, "-o", output, model=False)
    assert (status, out, err) == (0, f"{output}\n", "")
    assert read_labels(output).shape == (120, 128)


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


# prompt and embed


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
        assert (status, out, err) == (0, f"{output}\n", "")
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


# evaluate, list, show, doctor


def test_evaluate_writes_a_report_with_its_command(run, image, tmp_path):
    labels = tmp_path / "truth.tif"
    run("segment", image, "-o", labels)
    report = tmp_path / "report.json"
    status, out, err = run(
        "evaluate", "--images", image, "--labels", labels, "--tasks", "ais, box", "-o", report,
        "--seed", 5,
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == ["task", "ais", "box", "box_fill"]
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
    truth = np.zeros((120, 128), np.uint16)
    truth[tifffile.imread(image) > 0] = 1
    for name in ("b", "a"):
        (tmp_path / "images" / f"{name}.tif").write_bytes(image.read_bytes())
        tifffile.imwrite(tmp_path / "labels" / f"{name}.tif", truth)
    status, out, _ = run(
        "evaluate", "--images", tmp_path / "images", "--labels", tmp_path / "labels",
        "--tasks", "ais", "-o", tmp_path / "report.json", "--json",
    )  # fmt: skip
    assert status == 0
    assert set(json.loads(out)["mean"]) == {"ais"}
    rows = json.loads((tmp_path / "report.json").read_text())["images"]
    assert [os.path.basename(row["image"]) for row in rows] == ["a.tif", "b.tif"]


def test_list_shows_the_default_model(run):
    status, out, err = run("list", model=False)
    assert (status, err) == (0, "")
    header, *rows = out.splitlines()
    columns = ["name", "segments", "base", "method", "megabytes", "license", "scores", "from"]
    assert header.split() == columns
    assert any(row.startswith("nuclei-vit-t ") for row in rows)
    status, out, _ = run("list", "--json", model=False)
    assert "nuclei-vit-t" in [row["name"] for row in json.loads(out)["models"]]


def test_show_prints_the_card_without_control_characters(run, toy_package):
    (toy_package / "README.md").write_bytes("# toy\nÄ\x1b]0;evil\x07\xff".encode("latin-1"))
    status, out, err = run("show", toy_package, model=False)
    assert (status, err) == (0, "")
    assert out.startswith("# toy\n")
    assert not set(out) & {"\x1b", "\x07"}
    status, out, _ = run("show", toy_package, "--json", model=False)
    found = json.loads(out)
    assert found["folder"] == str(toy_package)
    assert found["manifest"]["name"] == "toy"


def test_show_of_a_package_without_card_says_so(run, toy_package):
    assert run("show", toy_package, model=False)[1] == "toy: no card\n"


def test_show_prints_the_shipped_card(run):
    status, out, _ = run("show", "nuclei-vit-t", model=False)
    assert status == 0
    assert "# nuclei-vit-t" in out


def test_doctor_is_content(run):
    status, out, err = run("doctor", model=False)
    assert (status, err) == (0, "")
    assert "Segmenting works." in out
    assert json.loads(run("doctor", "--json", model=False)[1])["ok"]


# Pipes


@pytest.mark.skipif(os.name == "nt", reason="no such pipes there")
def test_a_reader_that_goes_away_is_no_error(toy_package):
    code = (
        "import os, sys\n"
        "read, write = os.pipe()\n"
        "os.close(read)\n"
        "os.dup2(write, 1)\n"
        "from samzoo.zoo.cli import main\n"
        "sys.exit(main(['show', sys.argv[1]]))\n"
    )
    done = python(code, toy_package)
    assert (done.returncode, done.stderr) == (0, "")
