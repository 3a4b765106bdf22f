"""The file to fill in: it has everything, and says what the package already says."""

import dataclasses
import tomllib

import pytest

from samzoo.runtime.formats.manifest import CardPicture, DataSet, Manifest
from samzoo.zoo.cards.card_file import CardFile, read_card_file, with_texts
from samzoo.zoo.cards.card_template import EXAMPLES, filled_template

NASTY = 'A "quote", a \\ backslash, """ three,\n\n# no comment\n\ttab, Zürich \x7f\x1b[31m'


@pytest.fixture
def manifest(toy_config):
    config = dataclasses.replace(toy_config(), source={"base": {"name": "SAM", "sha256": "00"}})
    return Manifest(name="toy", model=config, files=())


@pytest.fixture
def reread(tmp_path):
    def reread(manifest):
        path = tmp_path / "card.toml"
        path.write_text(filled_template(manifest), encoding="utf-8")
        return read_card_file(path)

    return reread


def test_unchanged_it_changes_nothing(manifest, reread):
    assert with_texts(manifest, reread(manifest)) == manifest
    bare = dataclasses.replace(manifest, model=dataclasses.replace(manifest.model, source={}))
    assert with_texts(bare, reread(bare)) == bare
    full = dataclasses.replace(
        manifest, segments=NASTY, license="MIT", card={"description": NASTY, "tried": "x" * 200},
        datasets=(DataSet(name=NASTY, url="https://a.b"), DataSet(name="b")),
        pictures=(CardPicture(path="pictures/a.png", shows="not", caption=NASTY, attribution="b"),),
        metrics={"evaluations": [{"data": NASTY, "subject": "this model", "note": NASTY}]},
    )  # fmt: skip
    file = reread(full)
    assert with_texts(full, file) == full
    assert [(each.file, each.caption) for each in file.pictures] == [("pictures/a.png", NASTY)]
    assert [(each.data, each.subject, each.note) for each in file.evaluations] == [
        (NASTY, "this model", NASTY)
    ]


def test_every_key_of_the_file_is_in_it_with_a_comment(manifest):
    text = filled_template(manifest)
    known = tomllib.loads(text)
    for field in dataclasses.fields(CardFile):
        assert field.name in known or f"# [[{field.name}]]" in text, field.name
    for line in text.split("\n"):
        if line and line[0] not in "#[" and line.split(" ")[0] in ("segments", "tried"):
            before = text[: text.index(line)].rstrip("\n").split("\n")[-1]
            assert before.startswith("# ")


def test_the_examples_in_comments_are_right(manifest, tmp_path):
    for name in EXAMPLES:
        text = filled_template(manifest)
        start = text.index(f"# [[{name}]]")
        block = text[start:].split("\n\n")[0].replace("# ", "").replace('""', '"text"')
        (tmp_path / "card.toml").write_text(block)
        assert len(getattr(read_card_file(tmp_path / "card.toml"), name)) == 1
