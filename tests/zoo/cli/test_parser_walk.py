"""The walk: every verb times every option. Each is used on every way through it, or refused."""

import json
import shutil
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import pytest
import tifffile
import tiny
from walk.running import Walker, check
from walk.table import NOT_WALKED, WAYS
from walk.ways import Changes, Way, gaps

from samzoo.zoo.cli.parser import VERBS, get_verb

CASES = [(way, name) for way in WAYS for name in way.options]


@pytest.fixture(scope="module")
def walker(tmp_path_factory, seeded_base):
    """Runs command lines in a folder with one of everything, all of it tiny."""
    from conftest import draw_discs, write_toy_package, write_toy_shared_package

    place = tmp_path_factory.mktemp("walk")
    folder = place / "template"
    folder.mkdir()
    write_toy_package(folder / "package")
    write_toy_shared_package(folder / "toys", gains={"bright": 2.0, "dark": 0.5})
    centers = [(20, 20), (64, 96)]
    rod = [draw_discs((60, 70), [(20, 20 + z)] if 0 < z < 5 else []) for z in range(6)]
    rod[3] = np.maximum(rod[3], draw_discs((60, 70), [(40, 50)]))
    truth = draw_discs((100, 150), centers[:1], high=1) + draw_discs(
        (100, 150), centers[1:], high=2
    )
    files = {
        "cells": draw_discs((100, 150), centers, high=200),
        "dim": draw_discs((100, 150), centers, high=100),
        "truth": truth, "one": (truth == 1).astype(np.uint8),
        "binary": np.where(truth > 0, 255, 0).astype(np.uint8),
        "mask": (truth == 1).astype(np.uint8),
        "stack": np.stack(rod), "dims": np.stack([p // 255 * 100 for p in rod]),
        "gap": np.stack([rod[1], 0 * rod[1], rod[1], rod[1]]),
    }  # fmt: skip
    for name, pixels in files.items():
        axes = {"axes": "ZYX"} if pixels.ndim == 3 else None
        tifffile.imwrite(folder / f"{name}.tif", pixels, photometric="minisblack", metadata=axes)
    (folder / "prompts.json").write_text(json.dumps([{"box": [10, 10, 30, 30]}]))
    shutil.copytree(seeded_base, folder / "base")
    lora = {"rank": 2, "matrices": ["q", "v"]}
    for seed, (name, method, fields) in enumerate((
        ("lora", "lora", {}), ("lora2", "lora", {}), ("qlora", "qlora", {}),
        ("moved", "lora", {"base_path": "gone"}),
    )):  # fmt: skip
        tiny.write_lora_adapter(folder / name, seeded_base, method, lora, seed=seed, **fields)
    shutil.copytree(Path(__file__).parents[2] / "goldens" / "peft_qkv", folder / "peft")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMZOO_CACHE", str(place / "cache"))
        yield Walker(folder, place / "here", patch)


def parsers():
    found = {}
    for verb in VERBS:
        if verb not in NOT_WALKED:
            found[verb] = ArgumentParser(add_help=False)
            get_verb(verb).add_options(found[verb])
    return found


def test_every_option_of_every_verb_is_tried_on_every_way():
    assert gaps(parsers(), WAYS) == []


@pytest.mark.parametrize(("way", "name"), CASES, ids=lambda case: str(case))
def test_an_option_is_used_or_refused(walker, way, name):
    check(walker, way, way.options[name])


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_way_answers_alike_twice_and_json_answers_in_json(walker, way):
    answer = walker.run(way.command, echoes=way.echoes)
    again = walker.run(f"{way.command} ", echoes=way.echoes)
    if way.fails:
        assert (answer.status, way.fails in answer.errors) == (2, True)
        return
    assert (answer.status, answer.files) == (again.status, again.files), answer.errors
    assert isinstance(json.loads(walker.run(f"{way.command} --json").out), dict)


@pytest.mark.parametrize("way", [way for way in WAYS if " -o " in way.command], ids=str)
def test_an_output_is_replaced_only_with_force(walker, way):
    output = way.command.split(" -o ")[1].split()[0]
    assert any(name.split("/")[0] == output for name in walker.run(way.command).files)
    twice = walker.run(way.command, way.command)
    assert (twice.status, f"{output}: exists already" in twice.errors) == (2, True)
    assert walker.run(way.command, f"{way.command} --force").status == 0


def test_the_walk_finds_an_option_that_is_not_used(walker):
    """Planted: ``index`` gets an option that nobody reads."""
    parser = ArgumentParser(add_help=False)
    get_verb("index").add_options(parser)
    parser.add_argument("--nothing")
    assert gaps({"index": parser}, WAYS) == ["index, a package: --nothing is not tried"]
    # As if the table claimed that `--debug`, which changes no answer, did.
    way = Way("index", "a package", "index package -o i.json", {"--debug": Changes("--debug")})
    with pytest.raises(AssertionError, match="the option is accepted and not used"):
        check(walker, way, way.options["--debug"])
