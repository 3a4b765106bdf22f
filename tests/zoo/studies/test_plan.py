"""The runs of a study, their folders and commands, and whose folder it is."""

import dataclasses
import shutil
import tomllib

import pytest
import tiny

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.shapes import tensor_shapes
from samzoo.zoo.cli.parser import parse
from samzoo.zoo.studies.plan import (
    base_folder,
    claim,
    export_words,
    score_words,
    train_words,
    training_config,
)


def test_each_number_method_and_seed_is_a_run_and_the_base_is_one(runs, tmp_path):
    place = tmp_path / "work/runs/tiny/cells"
    assert [run.folder.relative_to(place).as_posix() for run in runs] == [
        "untrained",
        "1/lora/seed-0", "1/lora/seed-1", "1/all-weights/seed-0", "1/all-weights/seed-1",
        "all/lora/seed-0", "all/lora/seed-1", "all/all-weights/seed-0", "all/all-weights/seed-1",
    ]  # fmt: skip
    assert runs[0].title == "tiny, cells, untrained"
    assert runs[1].title == "tiny, cells, lora, 1 image, seed 0"
    assert runs[-1].title == "tiny, cells, all-weights, all images, seed 1"


def test_a_shipped_base_is_converted_into_the_work(study, tmp_path):
    (base,) = study.bases
    assert base_folder(base, tmp_path, tmp_path / "work") == tmp_path / "base"
    lite = dataclasses.replace(base, base="lite_medsam")
    assert base_folder(lite, tmp_path, tmp_path / "work") == tmp_path / "work/bases/tiny"


def test_the_commands_parse_and_say_what_the_run_is(study, runs, finish, seeded_base, tmp_path):
    shutil.copytree(seeded_base, tmp_path / "base")
    run = runs[4]
    options = parse(train_words(run, resume=False)).options
    assert (options.method, options.seed, options.resume) == ("full", 1, False)
    assert (options.output, options.base) == (run.folder / "run", tmp_path / "base")
    assert options.ais_decoder is None
    assert parse(train_words(run, resume=True)).options.resume
    data = dataclasses.replace(run.data, ais_decoder="none")
    other = parse(train_words(dataclasses.replace(run, data=data), resume=False)).options
    assert other.ais_decoder == "none"
    assert parse(export_words(run)).options.base == tmp_path / "base"
    assert parse(export_words(runs[0])).options.base is None
    finish(run, ais=0.5)
    scored = parse(score_words(run)).options
    assert (scored.part, scored.tasks) == ("test", "box")  # of a base without AIS decoder
    assert tomllib.loads(training_config(study, run.method)) == study.config(run.method)
    lora = tomllib.loads(training_config(study, runs[1].method))
    assert lora["hyperparameters"] == {"rank": 2}


@pytest.mark.parametrize(("ais", "tasks"), [(True, "ais,box"), (False, "box")])
def test_a_base_is_scored_in_ais_if_it_has_a_decoder(runs, tmp_path, ais, tasks):
    config = tiny.make_config(ais=ais)
    weights = tiny.seeded_weights(tensor_shapes(config.architecture))
    tiny.write_weights(tmp_path / "base", config, weights)
    assert parse(score_words(runs[0])).options.tasks == tasks


def test_a_changed_study_or_list_is_refused_by_name(study, listed, tmp_path):
    work = tmp_path / "work"
    claim(dataclasses.replace(study, title="Slip"), {"cells": listed}, work)
    claim(study, {"cells": listed}, work)  # nothing was done yet
    (work / "runs").mkdir()
    claim(study, {"cells": listed}, work)
    changed = dataclasses.replace(study, seeds=(0,), title="Other")
    with pytest.raises(InputError, match=r"differs in: title, seeds\)"):
        claim(changed, {"cells": listed}, work)
    with pytest.raises(InputError, match=r"differs in: lists\)"):
        claim(study, {"cells": listed[1:]}, work)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/a").write_text("")
    with pytest.raises(InputError, match="holds something else"):
        claim(study, {"cells": listed}, tmp_path / "full")
