"""``samzoo train`` as a person uses it: what it says when it stops, ends, or goes on."""

import json
import sys
from pathlib import Path

import pytest
import tifffile
import tiny

from samzoo.zoo.cli import main

pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytestmark = pytest.mark.torch

SETTINGS = """
epochs = 4
steps_per_epoch = 2
n_objects = 2
n_sub_iteration = 1
search_ais = false
validation_tasks = ["ais"]
[preprocessing]
scale = 1.0
[ais_decoder]
type = "light"
channels = [8, 6, 4]
"""


@pytest.fixture
def command(tmp_path, monkeypatch):
    """A command line that trains a tiny model, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    tiny.write_base(tmp_path / "base", tiny.make_sam(tiny.make_config(ais=False)))
    for name, seed in (("train", 0), ("val", 1)):
        image, labels = tiny.make_cells((64, 64), seed)
        tifffile.imwrite(f"{name}.tif", image)
        tifffile.imwrite(f"{name}_labels.tif", labels.astype("uint16"))
    (tmp_path / "s.toml").write_text(SETTINGS)
    return [
        "train", "--images", "train.tif", "--labels", "train_labels.tif", "--val-images",
        "val.tif", "--val-labels", "val_labels.tif", "--base", "base", "--config", "s.toml",
        "-o", "my run",
    ]  # fmt: skip


def stop_in(patch, step):
    """Ctrl-C within a step, counted from 1."""
    from samzoo.training.fit.run import Run

    original = Run.step

    def interrupted(self):
        original(self)
        if self.history.step == step:
            raise KeyboardInterrupt

    patch.setattr(Run, "step", interrupted)


def write_set(table=None):
    """A folder with five annotated images in three fields, and perhaps a table beside them."""
    for kind in ("images", "labels"):
        Path("set", kind).mkdir(parents=True)
    for seed in range(5):
        image, labels = tiny.make_cells((64, 64), seed)
        tifffile.imwrite(f"set/images/{seed}.tif", image)
        tifffile.imwrite(f"set/labels/{seed}.tif", labels.astype("uint16"))
    if table is not None:
        Path("set", "split.csv").write_text(table)


PARTS = "file,split,group\n0.tif,train,f\n1.tif,train,f\n2.tif,train,\n3.tif,val,g\n4.tif,test,h\n"
SHORT = ["--base", "base", "--config", "s.toml", "--epochs", "1", "-o", "my run", "--json"]


def trained(capsys, *words):
    """Train, and return what stderr says, what was read, and the adapter's images."""
    assert main(["train", *words, *SHORT]) == 0
    streams = capsys.readouterr()
    source = json.loads(Path("my run/adapter_config.json").read_text())["source"]
    return streams.err, json.loads(streams.out)["read"], source


@pytest.mark.usefixtures("command")
def test_a_table_beside_the_images_is_found_and_says_what_trains_and_validates(capsys):
    write_set(PARTS)
    told, read, source = trained(capsys, "--images", "set/images", "--labels", "set/labels")
    assert (
        f"samzoo: {Path('set/split.csv').absolute()}: trains on 3 images in 2 groups, validates on "
        "1 image in 1 group, leaves out 1 of test\n"
    ) in told
    assert (read["training"]["images"], read["validation"]["images"]) == (3, 1)
    assert source["data"]["split"].endswith("split.csv")


@pytest.mark.usefixtures("command")
def test_a_list_trains_and_a_table_of_groups_keeps_groups_together(capsys):
    write_set()
    rows = [f"images/{i}.tif,labels/{i}.tif,{'ffghk'[i]}" for i in range(5)]
    Path("set/list.csv").write_text("\n".join(["image,label,group", *rows]))
    told, _, source = trained(capsys, "--images", "set/list.csv")
    assert "samzoo: set/list.csv: 5 images in 4 groups\n" in told
    assert "samzoo: set aside for validation: 2 images in 1 group\n" in told
    assert len(source["training"]["contents"]["validation"]) == 2
    assert "labels" not in source["data"]


BOTH = ["--val-images", "val.tif", "--val-labels", "val_labels.tif"]


@pytest.mark.parametrize(
    ("table", "words", "message"),
    [
        (PARTS.replace("val,g", "val,f"), [], "group: f is in train (0.tif) and in val (3.tif)"),
        (PARTS.replace("val,g", "dev,g"), [], "line 5: split: found 'dev', allowed are train, val"),
        (PARTS.replace("train", "test"), [], "no image is in the part 'train'"),
        (PARTS, ["--split", "set/split.csv", *BOTH], "--val-images: val.tif validates, but set/"),
        (PARTS, BOTH, "or pass --split none to use no table"),
        (PARTS, ["--split", "missing.csv"], "missing.csv: no such file"),
    ],
)
@pytest.mark.usefixtures("command")
def test_parts_and_groups_that_contradict_are_told_before_torch_is_imported(
    monkeypatch, capsys, table, words, message
):
    write_set(table)
    monkeypatch.setitem(sys.modules, "samzoo.training.fit.run", None)  # it imports torch
    assert main(["train", "--images", "set/images", "--labels", "set/labels", *words, *SHORT]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("command")
def test_a_table_that_is_found_is_not_used_with_none(capsys):
    write_set(PARTS)
    own = ["--images", "set/images", "--labels", "set/labels"]
    _, read, source = trained(capsys, *own, "--split", "none")
    assert read["training"]["images"] == 5  # of which samzoo set some aside
    assert "split" not in source["data"]


def test_ctrl_c_says_where_it_stopped_how_to_go_on_and_how_to_use_it(command, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        stop_in(patch, 5)
        assert main(command) == 130
    told = capsys.readouterr().err.splitlines()[-1]
    go_on = (
        "samzoo train --images train.tif --labels train_labels.tif --val-images val.tif "
        "--val-labels val_labels.tif --base base --config s.toml -o 'my run' --resume"
    )
    assert "stopped at epoch 3 of 4, best 0." in told
    assert told.endswith(f"; go on: {go_on}; use it: samzoo merge 'my run' -o model")
    assert main(["merge", "my run", "-o", "model"]) == 0
    with monkeypatch.context() as patch:  # and what it said to type is one --resume, not two
        stop_in(patch, 6)
        assert main([*command, "--resume"]) == 130
    assert capsys.readouterr().err.count("--resume") == 1
    assert main([*command, "--resume"]) == 0


def test_ctrl_c_before_the_first_score_offers_no_adapter(command, monkeypatch, capsys):
    stop_in(monkeypatch, 1)
    assert main(command) == 130
    told = capsys.readouterr().err
    assert "stopped at epoch 1 of 4, no score yet; go on: samzoo train" in told
    assert "use it" not in told


def test_a_stop_after_corrections_began_tells_the_score_of_the_adapter_from_before(
    command, monkeypatch, capsys
):
    text = SETTINGS.replace("n_sub_iteration = 1", "n_sub_iteration = 2\ncorrections_after = 0.5")
    Path("s.toml").write_text(text)
    stop_in(monkeypatch, 5)
    assert main(command) == 130
    told = capsys.readouterr().err.splitlines()[-1]
    score = json.loads(Path("my run/adapter_config.json").read_text())["source"]["training"][
        "validation"
    ]["score"]
    assert (
        f"epoch 3 of 4, no score since corrections began, before them best {score:.2f}; go" in told
    )
    assert told.endswith("; use it: samzoo merge 'my run' -o model")


def test_a_time_limit_says_that_it_cut_the_run_short_and_more_time_goes_on(command, capsys):
    assert main([*command, "--max-minutes", "1e-9", "--json"]) == 0
    streams = capsys.readouterr()
    (note, *_) = json.loads(streams.out)["notes"]
    assert note.startswith("training was cut short: max_minutes (1e-09) were over after 1 of 8")
    assert f"samzoo: {note}\n" in streams.err
    assert main([*command, "--resume", "--epochs", "2", "--json"]) == 0
    streams = capsys.readouterr()
    assert not [n for n in json.loads(streams.out)["notes"] if "cut short" in n]
    log = [json.loads(line) for line in Path("my run/log.jsonl").read_text().splitlines()]
    assert log[-1]["step"] == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--epochs", "0"], "epochs: must be at least 1, found 0"),
     (["--max-minutes", "-1"], "max_minutes: must not be negative, found -1.0")],
)  # fmt: skip
def test_ends_out_of_range_are_refused(command, capsys, words, message):
    assert main([*command, *words]) == 2
    assert message in capsys.readouterr().err


def test_the_end_says_the_score_the_time_and_the_next_command(command, capsys):
    assert main([*command, "--epochs", "1"]) == 0
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("samzoo: validation score 0.")
    assert " after 2 steps and 0:" in told
    assert told.endswith("; use it: samzoo merge 'my run' -o model")
    for name in ("curves.png", "worst.png", "metrics.csv"):
        assert (Path("my run") / name).is_file()


def test_a_config_is_shown_with_its_comments_and_nothing_else_is_needed(capsys, tmp_path):
    assert main(["train", "--show-config", "laptop"]) == 0
    shown, errors = capsys.readouterr()
    assert errors == ""
    assert shown.startswith("# One annotated image")
    assert "epochs = 5\n" in shown
    assert main(["train", "--json", "--show-config", "laptop"]) == 0
    assert json.loads(capsys.readouterr().out)["config"] == shown
    assert main(["train", "--show-config", "labtop"]) == 2
    out, errors = capsys.readouterr()
    assert out == ""
    assert "labtop: neither a file nor a preset; presets: laptop, paper" in errors


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="gloo over loopback, as CI runs it")
@pytest.mark.usefixtures("command")
def test_two_devices_learn_what_one_with_twice_the_batch_learns(capsys):
    write_set()
    text = Path("s.toml").read_text()
    for devices, batch in ((1, 4), (2, 2)):
        Path(f"s{devices}.toml").write_text(f"batch_size = {batch}\n{text}")
        words = ["--images", "set/images", "--labels", "set/labels", "--base", "base"]
        words += ["--config", f"s{devices}.toml", "--devices", str(devices), "-o", f"run{devices}"]
        status = main(["train", *words])
        assert status == 0, capsys.readouterr().err
    logs = [Path(f"run{devices}/log.jsonl").read_text().splitlines() for devices in (1, 2)]
    (alone, together) = ([json.loads(line)["loss"] for line in log] for log in logs)
    assert together == pytest.approx(alone, rel=1e-3)
    assert (
        json.loads(Path("run2/adapter_config.json").read_text())["source"]["training"]["devices"]
        == 2
    )
