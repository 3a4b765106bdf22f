"""The table of verbs, their help, and from words to a verb's options."""

import dataclasses
import re
import shlex
import subprocess
import sys

import pytest

from samzoo.zoo.cli import main
from samzoo.zoo.cli.options import PRECISIONS
from samzoo.zoo.cli.parser import GROUPS, VERBS, build_parser, get_verb, parse

TABLE = {
    "images": ["segment", "prompt", "embed", "suggest", "annotate"],
    "models": ["list", "show", "pull", "use", "verify", "remove", "gallery"],
    "making models": [
        "plan", "methods", "train", "evaluate", "merge", "sum", "export", "share", "card",
        "index", "publish", "rebuild", "study",
    ],
    "other tools' files": ["convert", "adapter read", "adapter write", "doctor"],
}  # fmt: skip
"""The verbs in the design's order."""


def leaf_parsers():
    """The parser of each verb by its name."""

    def inner(parser, name):
        nested = [a for a in parser._actions if isinstance(getattr(a, "choices", None), dict)]
        if not nested:
            yield name, parser
        for action in nested:
            for word, child in action.choices.items():
                yield from inner(child, f"{name} {word}".strip())

    return dict(inner(build_parser(), ""))


def test_help_lists_the_verbs_of_the_table(capsys):
    assert main(["--help"]) == 0
    found: dict[str, list[str]] = {}
    for line in capsys.readouterr().out.splitlines():
        if heading := re.fullmatch(r"(\w.*):", line):
            verbs = found.setdefault(heading[1], [])
        elif verb := re.match(r"  (\w+( \w+)*)  +\w", line):
            verbs.append(verb[1])
    found.pop("options")
    assert found == TABLE
    assert list(VERBS) == [verb for verbs in TABLE.values() for verb in verbs]
    assert list(leaf_parsers()) == list(VERBS)


def test_each_verb_has_a_module_of_its_name_in_the_folder_of_its_group():
    for (folder, heading), verbs in zip(GROUPS.items(), TABLE.values(), strict=True):
        assert TABLE[heading] == verbs
        assert [VERBS[verb] for verb in verbs] == [
            f"{folder}.{verb.replace(' ', '_')}" for verb in verbs
        ]


@pytest.mark.parametrize("name", VERBS)
def test_a_verbs_options_are_the_fields_of_its_dataclass(name):
    verb = get_verb(name)
    parser = leaf_parsers()[name]
    fields = {field.name for field in dataclasses.fields(verb.options)}
    given = {action.dest for action in parser._actions}
    assert fields - {"command"} == given - {"help", "json", "debug"}
    assert verb.options.__name__ == f"{name.title().replace(' ', '')}Options"
    assert verb.options.__dataclass_params__.frozen


@pytest.mark.parametrize("name", VERBS)
def test_every_verbs_example_parses_and_is_in_its_help(name, capsys):
    verb = get_verb(name)
    program, *arguments = shlex.split(verb.example)
    assert program == "samzoo"
    assert parse(arguments).verb is verb
    assert main([*name.split(), "--help"]) == 0
    out, err = capsys.readouterr()
    assert verb.example in " ".join(out.split())
    assert err == ""


def test_options_are_frozen_to_the_bottom():
    words = ["prompt", "a.tif", "-o", "b.tif", "--point", "1", "2", "--point", "3", "4"]
    call = parse([*words, "--json"])
    assert call.options.point == ((1.0, 2.0), (3.0, 4.0))
    assert (call.json, call.debug) == (True, False)
    hash(call.options)


def test_precisions_are_those_of_packages():
    from samzoo.runtime.formats import manifest

    assert PRECISIONS == manifest.PRECISIONS


def test_help_loads_nothing_heavy():
    words = [["--help"], ["adapter", "--help"], *([*name.split(), "--help"] for name in VERBS)]
    code = (
        "import sys\n"
        "from samzoo.zoo.cli import main\n"
        f"assert [main(each) for each in {words!r}] == [0] * {len(words)}\n"
        "heavy = ('numpy', 'torch', 'onnxruntime', 'PIL', 'tifffile', 'tqdm', 'bioimage_cpp')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments",
    [[], ["dance"], ["segment"], ["segment", "a.tif"], ["prompt", "a.tif", "-o", "b.tif",
     "--point", "1"], ["segment", "a.tif", "-o", "b.tif", "--mode", "magic"],
     ["prompt", "a.tif", "-o", "b.tif", "--label", "2"], ["merge", "a", "-o", "b", "--colour"],
     ["adapter"], ["adapter", "dance"]],
)  # fmt: skip
def test_wrong_usage_is_exit_2_on_stderr(arguments, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: samzoo")


@pytest.mark.parametrize(
    ("words", "guess"),
    [
        ("segmnt a.tif -o b.tif", "segment"),
        ("adapter wirte a -o b", "write"),
        ("segment a.tif -o b.tif --modle x", "--model"),
        ("segment a.tif --otput b.tif", "--output"),
        ("segment a.tif -o b.tif --mode aiss", "ais"),
        ("export m -o p --precision fp61", "fp16"),
        ("train --iamges a --labels b --base c --method lora -o d", "--images"),
    ],
)
def test_a_mistyped_word_is_guessed_and_exit_2(words, guess, capsys):
    assert main(shlex.split(words)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith(f"; did you mean {guess!r}?\n")


def test_a_word_like_no_other_is_not_guessed(capsys):
    assert main(["segment", "a.tif", "-o", "b.tif", "--quantum"]) == 2
    assert "unrecognized arguments: --quantum\n" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "first"), [([], "segment"), (["adapter"], "read")])
def test_no_verb_prints_the_help_and_exit_2(words, first, capsys):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: samzoo")
    assert f"  {first} " in err
    assert "error" not in err


@pytest.mark.parametrize(
    "words",
    [
        "segment a.tif -o l.tif --model a --model b",
        "segment a.tif -o l.tif --output m.tif",
        "evaluate --images a --labels b -o r.json --seed 1 --seed 2",
        "sum a b --weights 1 2 -o s --weights 1",
    ],
)
def test_an_option_given_twice_is_refused_not_overridden(words, capsys):
    assert main(words.split()) == 2
    assert re.search(r"argument .*: is given twice; give it once", capsys.readouterr().err)


def test_an_option_that_may_be_repeated_keeps_all_values():
    words = "prompt a.tif -o l.tif --point 1 2 --point 3 4 --box 1 2 3 4 --box 5 6 7 8"
    options = parse(words.split()).options
    assert (options.point, len(options.box)) == (((1.0, 2.0), (3.0, 4.0)), 2)
    options = parse("export a -o p --target osam --target cvat".split()).options
    assert options.target == ("osam", "cvat")
