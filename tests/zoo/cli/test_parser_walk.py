"""The walk: every verb times every option. Each is used on every way through it, or refused."""

import importlib.util
import json
from argparse import ArgumentParser
from typing import Any

import pytest
from fake_hub import FakeHub
from walk.folder import write_folder
from walk.running import Walker, check, remember_the_parser, remember_traces
from walk.table import WAYS
from walk.ways import Changes, Way, gaps

from samzoo.zoo.cli import prompt_file
from samzoo.zoo.cli.parser import VERBS, get_verb

CASES = [(way, name) for way in WAYS for name in way.options]


def segment_without_a_browser(session, *, port, ready):
    """What a person does on the page, at once: segment, and take all."""
    session.automatic()
    session.accept_automatic(keep=False)
    session.close()


@pytest.fixture(scope="module")
def walker(tmp_path_factory, seeded_base):
    """Runs command lines in a folder with one of everything, all of it tiny."""
    place = tmp_path_factory.mktemp("walk")
    write_folder(place / "template", seeded_base)
    with pytest.MonkeyPatch.context() as patch, FakeHub() as hub:
        patch.setenv("SAMZOO_CACHE", str(place / "cache"))
        patch.setenv("HF_ENDPOINT", hub.endpoint)
        for name in ("HF_TOKEN", "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
            patch.delenv(name, raising=False)
        patch.setattr("samzoo.zoo.reports.installation.DEFAULT_MODEL", str(place / "here/package"))
        if importlib.util.find_spec("huggingface_hub"):
            patch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        if importlib.util.find_spec("uvicorn"):
            patch.setattr("samzoo.zoo.annotation_page.serving.serve", segment_without_a_browser)
        remember_the_parser(patch)
        remember_traces(patch)
        yield Walker(place / "template", place / "here", patch)


@pytest.fixture
def needed(request):
    """Skips a way that needs a package that is not there."""
    way = request.getfixturevalue("way")
    for name in way.needs:
        pytest.importorskip(name)


def parsers():
    found = {}
    for verb in VERBS:
        found[verb] = ArgumentParser(add_help=False)
        get_verb(verb).add_options(found[verb])
    return found


def test_every_option_of_every_verb_is_tried_on_every_way():
    assert gaps(parsers(), WAYS) == []


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # by huggingface_hub
@pytest.mark.usefixtures("needed")
@pytest.mark.parametrize(("way", "name"), CASES, ids=str)
def test_an_option_is_used_or_refused(walker, way, name):
    check(walker, way, way.options[name])


@pytest.mark.usefixtures("needed")
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_way_answers_alike_twice_and_json_answers_in_json(walker, way):
    answer = walker.run(way.command, way=way)
    again = walker.run(f"{way.command} --json", way=way)
    if way.fails:
        assert (answer.status, way.fails in answer.errors) == (2, True)
        return
    assert (answer.status, answer.files) == (again.status, again.files), answer.errors
    assert isinstance(json.loads(again.out), dict)


GOES_ON = ("annotate", "rebuild", "study", "train")
"""Verbs that go on in their output, or have an option for it."""

FORCED = [way for way in WAYS if " -o " in way.command and way.verb not in GOES_ON]


@pytest.mark.usefixtures("needed")
@pytest.mark.parametrize("way", FORCED, ids=str)
def test_an_output_is_replaced_only_with_force(walker, way):
    output = way.command.split(" -o ")[1].split()[0]
    first, twice, forced = walker.run_all(way.command, way.command, f"{way.command} --force")
    assert any(name.split("/")[0] == output for name in first.files)
    assert (twice.status, f"{output}: exists already" in twice.errors) == (2, True)
    assert twice.files == first.files
    assert (forced.status, forced.files.keys()) == (0, first.files.keys())


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


PROMPTS: dict[str, list[dict[str, Any]]] = {
    "points": [{"points": [[20, 20]], "labels": [1]}, {"points": [[96, 64]], "labels": [1]}],
    "labels": [
        {"points": [[20, 20], [26, 26]], "labels": [1, 1]},
        {"points": [[20, 20], [26, 26]], "labels": [1, 0]},
    ],
    "box": [{"box": [10, 10, 30, 30]}, {"box": [80, 50, 110, 80]}],
    "mask": [{"mask": "mask.tif"}, {"box": [15, 15, 26, 26]}],
}
"""By key of a file of prompts: two objects that differ in it."""


@pytest.mark.parametrize("key", PROMPTS)
def test_a_key_of_a_file_of_prompts_changes_what_is_computed(walker, key):
    answers = []
    for number, item in enumerate(PROMPTS[key]):
        name = f"{key}{number}.json"
        (walker.place / name).write_text(json.dumps([item]))
        command = f"prompt cells.tif -o l.tif --model package --prompts {name}"
        answers.append(walker.run(command))
        assert answers[-1].status == 0, answers[-1].errors
    assert answers[0].computed != answers[1].computed


def test_every_key_of_a_file_of_prompts_is_tried():
    assert tuple(PROMPTS) == prompt_file.KEYS
