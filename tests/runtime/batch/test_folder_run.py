"""A run from Python: verdicts come one by one, and a library's full disk ends it."""

import dataclasses
import errno
from pathlib import Path

import pytest
import tifffile

from samzoo.runtime import load, read_labels
from samzoo.runtime.batch import records
from samzoo.runtime.batch.folder_run import FolderRun
from samzoo.runtime.batch.inputs import find_inputs
from samzoo.runtime.errors import WriteError
from samzoo.runtime.large.file_task import FileTask


@pytest.fixture
def make_run(tmp_path, monkeypatch, discs):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for count, name in enumerate("ab", start=1):
        centers = [(15, 20), (40, 50)][:count]
        tifffile.imwrite(f"in/{name}.tif", discs((64, 80), centers))

    def make(**options):
        given = {"settings": {"mode": "ais"}, "task": FileTask(path=Path(), output=Path("out"))}
        return FolderRun(inputs=find_inputs(["in"]), folder=Path("out"), **{**given, **options})

    return make


def test_a_verdict_comes_when_its_files_are_in_their_places(make_run, toy_package):
    run, model = make_run(overlays=Path("out/overlays")), load(toy_package)
    found = []
    for verdict in run.verdicts(model):
        assert read_labels(verdict.labels).max() == verdict.objects
        assert verdict.overlay.exists()
        found.append((verdict.shown, verdict.verdict, verdict.objects))
    assert found == [("a.tif", "done", 1), ("b.tif", "done", 2)]
    again = make_run(overlays=Path("out/overlays"))
    again.check()
    assert [verdict.verdict for verdict in again.verdicts(model)] == ["skipped", "skipped"]
    assert not [path for path in Path("out/.samzoo/work").rglob("*") if path.is_file()]


def test_a_missing_overlay_is_drawn_from_the_kept_labels(make_run, toy_package, monkeypatch):
    model = load(toy_package)
    list(make_run(overlays=Path("once")).verdicts(model))
    expected = {path.name: path.read_bytes() for path in Path("once").iterdir()}
    monkeypatch.setattr(type(model), "segment", None)  # nothing is segmented again
    run = make_run(overlays=Path("out/overlays"))
    assert [verdict.verdict for verdict in run.verdicts(model)] == ["skipped", "skipped"]
    drawn = {path.name: path.read_bytes() for path in Path("out/overlays").iterdir()}
    assert drawn == expected
    assert sorted(drawn) == ["a.png", "b.png"]


def test_the_bytes_of_a_changed_image_are_read_once_to_identify_it(
    make_run, toy_package, monkeypatch, discs
):
    model = load(toy_package)
    list(make_run().verdicts(model))
    tifffile.imwrite("in/a.tif", discs((64, 80), [(30, 30)]))
    read = []

    def content_of(path):
        read.append(path.as_posix())
        return records.content_of(path)

    monkeypatch.setattr("samzoo.runtime.batch.folder_run.content_of", content_of)
    assert [verdict.verdict for verdict in make_run().verdicts(model)] == ["done", "skipped"]
    assert [name.split("in/")[-1] for name in read if "/in/" in f"/{name}"] == ["a.tif", "b.tif"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EFBIG, errno.EROFS])
def test_a_disk_that_takes_no_more_ends_the_run_whoever_says_it(
    make_run, toy_package, monkeypatch, code
):
    def full(*_, **__):
        try:
            raise OSError(code, "no more")
        except OSError as error:
            raise RuntimeError("encoder failed") from error

    monkeypatch.setattr("samzoo.runtime.large.file_segmentation.write_labels", full)
    with pytest.raises(WriteError, match="cannot be written"):
        list(make_run().verdicts(load(toy_package)))
    assert not Path("out/labels").exists()


def test_missing_outlines_are_written_from_the_kept_labels(make_run, toy_package, monkeypatch):
    model = load(toy_package)
    list(make_run().verdicts(model))
    monkeypatch.setattr(type(model), "segment", None)  # nothing is segmented again
    run = make_run()
    task = dataclasses.replace(run.task, outlines=("imagej", "geojson"))
    run = dataclasses.replace(run, task=task)
    assert [verdict.verdict for verdict in run.verdicts(model)] == ["skipped", "skipped"]
    names = ["a.geojson", "a_rois.zip", "b.geojson", "b_rois.zip"]
    assert sorted(path.name for path in Path("out/outlines").iterdir()) == names
    Path("out/outlines/a.geojson").unlink()
    before = Path("out/outlines/a_rois.zip").stat().st_mtime_ns
    list(run.verdicts(model))
    assert sorted(path.name for path in Path("out/outlines").iterdir()) == names
    assert Path("out/outlines/a_rois.zip").stat().st_mtime_ns == before


def test_outlines_of_a_first_run_lie_in_their_folder(make_run, toy_package):
    run = make_run()
    run = dataclasses.replace(run, task=dataclasses.replace(run.task, outlines=("imagej",)))
    assert [verdict.verdict for verdict in run.verdicts(load(toy_package))] == ["done", "done"]
    assert sorted(path.name for path in Path("out/outlines").iterdir()) == [
        "a_rois.zip", "b_rois.zip",
    ]  # fmt: skip
