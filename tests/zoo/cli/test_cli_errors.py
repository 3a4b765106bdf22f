"""Bad input on the command line: one message, the documented exit code, nothing half-written."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from samzoo.runtime import read_labels
from samzoo.runtime.errors import StorageError
from samzoo.runtime.large import file_segmentation
from samzoo.zoo.cli import main

GOOD = np.zeros((40, 50), np.uint8)
GOOD[10:20, 10:20] = 255


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder with one image, so that paths in messages are short."""
    path = tmp_path / "work"
    path.mkdir()
    monkeypatch.chdir(path)
    tifffile.imwrite("cells.tif", GOOD)
    tifffile.imwrite("../truth.tif", (GOOD > 0).astype(np.uint8))
    return path


@pytest.fixture
def run(folder, capsys, toy_package):
    def run(*arguments, model=True):
        given = [str(argument) for argument in arguments]
        status = main(given + (["--model", str(toy_package)] if model else []))
        out, err = capsys.readouterr()
        return status, out, err

    return run


def names_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def assert_refused(result, *parts, status=2):
    """One line on stderr that starts with the program's name and holds all parts."""
    found, out, err = result
    # What evaluate read is said before the error.
    err = "".join(line for line in err.splitlines(keepends=True) if "median diameter" not in line)
    assert (found, out) == (status, ""), err
    assert err.startswith("samzoo: ")
    assert err.count("\n") == 1, err
    for part in parts:
        assert part in err, err


# Images that are not usable


def write_bad(name):
    path = Path(name)
    if name == "text.tif":
        path.write_text("no image at all")
    elif name == "truncated.tif":
        data = Path("cells.tif").read_bytes()
        path.write_bytes(data[: len(data) // 2])
    elif name == "truncated.png":
        noise = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[:2000])
    elif name == "empty.tif":
        path.touch()
    elif name == "nan.tif":
        tifffile.imwrite(name, np.where(GOOD > 0, np.nan, 1).astype(np.float32))
    elif name == "stack.tif":
        tifffile.imwrite(name, np.stack([GOOD] * 5), photometric="minisblack")
    elif name == "two_channels.tif":
        tifffile.imwrite(name, np.stack([GOOD] * 2), photometric="minisblack")
    elif name == "complex.tif":
        tifffile.imwrite(name, GOOD.astype(np.complex64))
    elif name == "loop.tif":
        if sys.platform == "win32":
            pytest.skip("links need a right there")
        path.symlink_to(name)
    elif name == "folder.tif":
        path.mkdir()
    else:
        assert name == "missing.tif"


BAD_IMAGES = {
    "missing.tif": "no such file",
    "loop.tif": "no such file",
    "text.tif": "not a TIFF, PNG, JPEG, BMP, GIF or WebP file",
    "truncated.tif": "damaged or incomplete",
    "truncated.png": "damaged or incomplete",
    "empty.tif": "the file is empty",
    "nan.tif": "100 of 2000 values are NaN or infinite",
    "stack.tif": "found a stack or several channels of shape (5, 40, 50)",
    "two_channels.tif": "found a stack or several channels",
    "complex.tif": "dtype complex64",
    "folder.tif": "is a folder",
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_an_unusable_image_is_refused_by_every_verb(run, folder, name):
    write_bad(name)
    before = names_in(folder)
    if name != "folder.tif":  # which stands for the images in it
        given = ("segment", name, "-o", "out/labels.tif", "--overlay", "out/overlay.png")
        assert_refused(run(*given), name, BAD_IMAGES[name])
    for arguments in (
        ("prompt", name, "-o", "out/labels.tif", "--box", 1, 1, 9, 9),
        ("embed", name, "-o", "out/cells.safetensors"),
    ):
        assert_refused(run(*arguments), name, BAD_IMAGES[name])
    assert names_in(folder) == before


SPECIAL: dict[str, tuple[Any, int]] = {
    "rgba": (np.stack([GOOD, GOOD, GOOD, GOOD * 0 + 255], axis=2), 1),
    "16 bit": (GOOD.astype(np.uint16) * 200, 1),
    "signed": (GOOD.astype(np.int16) - 1000, 1),
    "float": (GOOD.astype(np.float32) / 7, 1),
    "double": (GOOD.astype(np.float64) * 1e200, 1),
    "constant": (np.full((40, 50), 200, np.uint8), 0),
    "constant zero": (np.zeros((40, 50), np.float32), 0),
    "1x1": (np.full((1, 1), 255, np.uint8), 0),
    "one row": (GOOD[12:13], 1),
    "boolean": (GOOD > 0, 1),
}


NOTES = {
    name: f"all pixels of the image have the value {value}, so it shows nothing"
    for name, value in {"constant": "200", "constant zero": "0.0", "1x1": "255"}.items()
}


@pytest.mark.parametrize("name", SPECIAL)
def test_unusual_images_have_a_defined_answer(run, name):
    pixels, objects = SPECIAL[name]
    rgb = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite("special.tif", pixels, photometric=rgb)
    status, out, err = run("segment", "special.tif", "-o", "labels.tif")
    assert (status, out) == (0, "labels.tif\n")
    assert err == (f"samzoo: {NOTES[name]}\n" if name in NOTES else "")
    labels = read_labels(Path("labels.tif"))
    assert labels.shape == pixels.shape[:2]
    assert labels.max() == objects


# Labels and pairs


def test_pairs_that_do_not_fit_are_refused(run, folder):
    for name in ("images", "labels"):
        (folder / name).mkdir()
    tifffile.imwrite("images/a.tif", GOOD)
    arguments = ("evaluate", "--images", "images", "--labels", "labels", "-o", "r.json")
    assert_refused(run(*arguments), "labels: holds no label image")
    truth = (GOOD > 0).astype(np.uint16)
    tifffile.imwrite("labels/b.tif", truth)
    assert_refused(run(*arguments), "1 of 1 images in images have no label image in labels: a.tif")
    tifffile.imwrite("labels/a.tif", truth)
    (folder / "labels" / "b.tif").unlink()
    tifffile.imwrite("labels/a.tif", truth[:-1])
    assert_refused(run(*arguments), "labels/a.tif", "39 x 50 pixels", "a.tif is 40 x 50")
    tifffile.imwrite("labels/a.tif", GOOD)
    assert_refused(run(*arguments), "labels/a.tif: holds the same pixels as its image")
    tifffile.imwrite("labels/a.tif", truth.astype(np.float32) / 2)
    assert_refused(run(*arguments), "labels/a.tif: found fractions")
    tifffile.imwrite("labels/a.tif", -2 * truth.astype(np.int16))
    assert_refused(run(*arguments), "labels/a.tif: found labels from -2")
    tifffile.imwrite("labels/a.tif", np.stack([truth.astype("u1")] * 3, 2), photometric="rgb")
    assert_refused(run(*arguments), "labels/a.tif: found a colour image")
    tiny = truth * 0
    tiny[0, :3] = 1
    tifffile.imwrite("labels/a.tif", tiny)
    assert_refused(run(*arguments), "labels/a.tif: no object of at least 20 pixels")
    assert not (folder / "r.json").exists()


@pytest.mark.parametrize("tasks", ["ais,magic", "", "ais,,box"])
def test_unknown_tasks_are_refused_with_the_known_ones(run, tasks):
    result = run("evaluate", "--images", "cells.tif", "--labels", "../truth.tif", "--tasks", tasks,
                 "-o", "r.json")  # fmt: skip
    assert_refused(result, "known are: ais, point, box, ip, ib")


# Prompts


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no prompt: give --point X Y, --box X0 Y0 X1 Y1, or --prompts FILE.json"),
        (("--point", 60, 5), "point (60, 5) lies outside the image of width 50 and height 40"),
        (("--point", -1, 5), "lies outside the image"),
        (("--point", "nan", 5), "points holds NaN"),
        (("--point", 1e300, 5), "points holds NaN or infinite"),
        (("--box", 9, 9, 1, 1), "box 0 is [9, 9, 1, 1]; expected x0 < x1 and y0 < y1"),
        (("--box", 60, 0, 70, 9), "lies outside the image"),
        (("--point", 1, 1, "--prompts", "p.json"), "or --mask, or --point and --box"),
        (("--prompts", "none.json"), "none.json: no such file"),
        (("--prompts", "cells.tif"), "cells.tif: not a JSON file"),
    ],
)
def test_unusable_prompts_are_refused(run, folder, arguments, message):
    assert_refused(run("prompt", "cells.tif", "-o", "out/l.tif", *arguments), message)
    assert names_in(folder) == ["cells.tif"]


def test_embeddings_of_another_model_are_refused(run, make_package, toy_config, tmp_path):
    import dataclasses

    other = make_package(
        tmp_path / "other", config=dataclasses.replace(toy_config(), weights_digest="sha256:b")
    )
    assert run("embed", "cells.tif", "-o", "e.safetensors")[0] == 0
    result = run("prompt", "e.safetensors", "-o", "l.tif", "--box", 1, 1, 9, 9, "--model", other,
                 model=False)  # fmt: skip
    assert_refused(result, "computed by the model sha256:toy, this is sha256:b")
    result = run("prompt", "e.safetensors", "-o", "l.tif", "--box", 1, 1, 9, 9, "--overlay",
                 "o.png")  # fmt: skip
    assert_refused(result, "--overlay needs an image, not embeddings")


# Models


def test_an_unknown_model_lists_the_known_ones(run, folder):
    result = run("segment", "cells.tif", "-o", "l.tif", "--model", "nuclie", model=False)
    assert_refused(result, "'nuclie': neither a package folder", "nuclei-vit-t")
    assert_refused(run("show", "nuclie", model=False), "'nuclie'")
    assert names_in(folder) == ["cells.tif"]


def test_a_damaged_model_is_refused(run, toy_package):
    path = toy_package / "onnx" / "encoder.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    result = run("segment", "cells.tif", "-o", "l.tif")
    assert_refused(result, "encoder.onnx: 724 bytes do not match samzoo.json", "fetch it again")
    (toy_package / "samzoo.json").write_text("{")
    assert_refused(run("segment", "cells.tif", "-o", "l.tif"), "samzoo.json: not a JSON file")


def test_a_model_without_ais_decoder_cannot_segment(run, make_package, toy_config, tmp_path):
    package = make_package(tmp_path / "p", config=toy_config(ais=False))
    result = run("segment", "cells.tif", "-o", "l.tif", "--model", package, model=False)
    assert_refused(result, "no AIS decoder")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--threads", 0), "threads must be at least 1, got 0"),
        (("--provider", "gpu"), "provider: found 'gpu', allowed are cpu, cuda, coreml"),
        (("--provider", "directml"), "provider 'directml' is not in this onnxruntime"),
        (("--tile-shape", 60, 60, "--halo", 9, 9), "the model's field of view is 64"),
        (("--tile-shape", 0, 5), "tile_shape must be positive"),
        (("--halo", 40, 40), "half the model's field of 64 pixels, got 40"),
    ],
)
def test_options_out_of_range_are_refused(run, folder, arguments, message):
    assert_refused(run("segment", "cells.tif", "-o", "l.tif", *arguments), message)
    assert names_in(folder) == ["cells.tif"]


# Outputs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("segment", "cells.tif", "-o", "l.jpg"), "l.jpg: labels are written as .tif, .tiff, .png"),
        (("segment", "cells.tif", "a.tif", "-o", "l.tif"), "2 images need a folder as output"),
        (("segment", "cells.tif", "a.tif", "-o", "o", "--overlay", "o.png"), "is one file"),
        (("segment", "cells.tif", "-o", "l.tif", "--overlay", "o.jpg"), "written as .png"),
        (("segment", "cells.tif", "-o", "l.png", "--overlay", "l.png"), "for the labels too"),
        (("prompt", "cells.tif", "-o", "l.txt", "--point", 1, 1), "labels are written as"),
        (("embed", "cells.tif", "-o", "e.npz"), "must end in .safetensors"),
        (("evaluate", "--images", "a", "--labels", "b", "-o", "r.txt"), "must end in .json"),
    ],
)
def test_outputs_of_the_wrong_kind_are_refused(run, folder, arguments, message):
    assert_refused(run(*arguments), message)
    assert names_in(folder) == ["cells.tif"]


def test_existing_outputs_are_kept_without_force_and_replaced_with_it(run, folder):
    for arguments, outputs in (
        (("segment", "cells.tif", "-o", "l.tif", "--overlay", "o.png"), ["l.tif", "o.png"]),
        (("segment", "cells.tif", "cells.tif", "-o", "folder"), []),
        (("prompt", "cells.tif", "-o", "p.tif", "--point", 12, 12), ["p.tif"]),
        (("embed", "cells.tif", "-o", "e.safetensors"), ["e.safetensors"]),
        (("evaluate", "--images", "cells.tif", "--labels", "../truth.tif", "-o", "r.json"),
         ["r.json"]),
    ):  # fmt: skip
        for name in outputs:
            (folder / name).write_text("precious")
            assert_refused(run(*arguments), f"{name}: exists already; pass --force to replace it")
            assert (folder / name).read_text() == "precious"
            status, _, err = run(*arguments, "--force")
            assert status == 0, err
            assert (folder / name).read_bytes() != b"precious"
            for other in outputs:
                (folder / other).unlink()


def test_an_output_in_a_folder_of_outputs_is_kept(run, folder):
    tifffile.imwrite("b.tif", GOOD)
    kept = folder / "out" / "labels" / "b.tif"
    kept.parent.mkdir(parents=True)
    kept.write_text("precious")
    status, out, err = run("segment", "cells.tif", "b.tif", "-o", "out")
    assert (status, out) == (4, "out/labels/cells.tif\n")
    assert "b.tif: failed: out/labels/b.tif" in err
    assert kept.read_text() == "precious"
    assert run("segment", "cells.tif", "b.tif", "-o", "out", "--force")[0] == 0
    assert kept.read_bytes() != b"precious"


def test_force_never_replaces_the_image_itself(run, folder):
    before = (folder / "cells.tif").read_bytes()
    (folder / "link.tif").symlink_to("cells.tif")
    Image.fromarray(GOOD).save("photo.png")
    for arguments in (
        ("segment", "cells.tif", "-o", "cells.tif"),
        ("segment", "cells.tif", "-o", "link.tif"),
        ("segment", "photo.png", "-o", "l.tif", "--overlay", "photo.png"),
        ("prompt", "cells.tif", "-o", "cells.tif", "--point", 1, 1),
    ):
        assert_refused(run(*arguments, "--force"), "would replace the input")
    assert (folder / "cells.tif").read_bytes() == before
    assert not (folder / "l.tif").exists()


def test_force_never_replaces_a_folder_that_samzoo_did_not_write(run, folder, toy_adapters):
    adapter = toy_adapters.write()
    (folder / "photos").mkdir()
    (folder / "photos" / "a.jpg").write_text("precious")
    result = run("merge", adapter, "-o", "photos", "--force", model=False)
    assert_refused(result, "photos: exists and is not a folder that samzoo wrote")
    assert (folder / "photos" / "a.jpg").read_text() == "precious"


# Failures that are not the user's


def fail_with(error):
    def fail(*_, **__):
        raise error

    return fail


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("segment", "cells.tif", "-o", "out.tif"), "out.tif"),
        (("prompt", "cells.tif", "-o", "out.tif", "--point", 12, 12), "out.tif"),
        (("embed", "cells.tif", "-o", "out.safetensors"), "out.safetensors"),
        (("evaluate", "--images", "cells.tif", "--labels", "../truth.tif", "-o", "out.json"),
         "out.json"),
    ],
)  # fmt: skip
def test_a_full_disk_is_exit_3_and_keeps_the_previous_output(
    run, folder, monkeypatch, arguments, name
):
    (folder / name).write_text("precious")
    before = names_in(folder)
    monkeypatch.setattr(os, "fsync", fail_with(FULL))
    result = run(*arguments, "--force")
    assert_refused(result, f"{name}: cannot be written (No space left on device)", status=3)
    assert (folder / name).read_text() == "precious"
    assert names_in(folder) == before


def test_a_folder_that_cannot_be_written_is_exit_3(run, folder):
    (folder / "file").write_text("x")
    assert_refused(run("segment", "cells.tif", "-o", "file/l.tif"), "cannot be written", status=3)


def test_an_interrupt_is_exit_130_without_a_traceback(run, folder, monkeypatch):
    monkeypatch.setattr(file_segmentation, "write_labels", fail_with(KeyboardInterrupt()))
    assert run("segment", "cells.tif", "-o", "l.tif") == (130, "", "samzoo: interrupted\n")
    assert names_in(folder) == ["cells.tif"]


@pytest.mark.skipif(os.name == "nt", reason="os.kill ends the process on Windows")
def test_the_end_of_a_batch_jobs_time_is_an_interrupt(run, folder, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(
        file_segmentation, "write_labels", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM)
    )
    assert run("segment", "cells.tif", "-o", "l.tif") == (130, "", "samzoo: interrupted\n")
    assert names_in(folder) == ["cells.tif"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_our_own_error_is_exit_1_and_asks_for_a_report(run, monkeypatch):
    monkeypatch.setattr(file_segmentation, "write_labels", fail_with(KeyError("boom")))
    status, out, err = run("segment", "cells.tif", "-o", "l.tif")
    assert (status, out) == (1, "")
    assert err == (
        "samzoo: internal error (KeyError: 'boom'); please report it with the output of the same "
        "command with --debug\n"
    )


@pytest.mark.parametrize(
    ("error", "status"), [(KeyError("boom"), 1), (StorageError("full"), 3), (FULL, 3)]
)
def test_debug_shows_the_traceback_and_keeps_the_exit_code(run, monkeypatch, error, status):
    monkeypatch.setattr(file_segmentation, "write_labels", fail_with(error))
    found, out, err = run("segment", "cells.tif", "-o", "l.tif", "--debug")
    assert (found, out) == (status, "")
    assert err.startswith("Traceback")
    assert "\nsamzoo: " in err


def test_a_closed_stdout_while_printing_is_no_error(run, monkeypatch):
    class Closed:
        def write(self, text):
            raise BrokenPipeError

        def flush(self):
            raise BrokenPipeError

        def isatty(self):
            return False

        def fileno(self):
            raise ValueError

    monkeypatch.setattr(sys, "stdout", Closed())
    assert main(["list"]) == 0


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
    done = subprocess.run(
        [sys.executable, "-c", code, str(toy_package)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_exporting_and_converting_without_torch_name_the_extra(folder, toy_adapters):
    """A plain installation: the verbs that need torch say which command brings it."""
    (folder / "sam.pth").write_bytes(b"PK\x03\x04 and so on")
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from samzoo.zoo.cli import main\n"
        "assert main(['export', sys.argv[1], '-o', 'p']) == 2\n"
        "assert main(['convert', 'sam.pth', '-o', 'b']) == 2\n"
        "assert main(['train', '--images', 'cells.tif', '--labels', 'cells.tif', '--base', "
        "sys.argv[1], '-o', 'r']) == 2\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(toy_adapters.base)],
        capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "needs the package 'torch', which is not installed; " in done.stderr
    assert "[export]" in done.stderr
    assert "[train]" in done.stderr
    assert "Traceback" not in done.stderr
    assert names_in(folder) == ["cells.tif", "sam.pth"]


def test_what_strangers_wrote_is_never_obeyed_by_the_terminal(capsys, tmp_path):
    path = tmp_path / "a\x1b]0;owned\x07\u202eb.tif"
    path.write_bytes(b"no image")
    assert main(["segment", str(path), "-o", str(tmp_path / "labels.tif")]) == 2
    told = capsys.readouterr().err
    assert "\x1b" not in told
    assert "\u202e" not in told
    assert "\ufffd]0;owned" in told or "\\x1b]0;owned" in told


STUCK = """
import hashlib, sys, threading
from samzoo.zoo.cli import _interrupts_are_answered
with _interrupts_are_answered():
    threading.Timer(0.5, print, ["ready"], {"flush": True}).start()  # by then the library works
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)  # returns to Python after minutes
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_library_that_does_not_return_is_interrupted(number):
    """It took minutes, and a batch system kills after some seconds."""
    with subprocess.Popen(
        [sys.executable, "-c", STUCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told == "samzoo: interrupted\n"
