"""The file that a card is written with: what it changes, what it keeps, and what it refuses."""

import pytest

from samzoo.runtime.errors import FormatError, NotFoundError
from samzoo.runtime.formats.manifest import Manifest
from samzoo.zoo.cards.card import SECTIONS
from samzoo.zoo.cards.card_file import TEXTS, read_card_file, with_texts
from samzoo.zoo.cards.image_sections import HEADINGS


@pytest.fixture
def manifest(toy_config):
    return Manifest(
        name="toy", model=toy_config(), files=(), segments="discs",
        card={"authors": "Ada", "tried": "more steps", "cover": "c.png"},
    )  # fmt: skip


@pytest.fixture
def read(tmp_path):
    def read(text):
        (tmp_path / "card.toml").write_text(text, encoding="utf-8")
        return read_card_file(tmp_path / "card.toml")

    return read


def test_what_the_file_says_replaces_and_what_it_leaves_out_stays(manifest, read):
    file = read(
        'license = "MIT"\ntried = ""\nuse_when = """\nBright discs.\n"""\n'
        '[base]\nname = "SAM"\n[[datasets]]\nname = "discs"\ngroups = "2 fields"\n'
    )
    found = with_texts(manifest, file)
    assert (found.segments, found.license) == ("discs", "MIT")
    assert found.card == {"authors": "Ada", "use_when": "Bright discs.", "cover": "c.png"}
    assert found.model.source["base"] == {"name": "SAM"}
    assert [(each.name, each.groups) for each in found.datasets] == [("discs", "2 fields")]
    assert with_texts(found, read("")) == found


def test_an_empty_list_takes_all_out(manifest, read):
    full = with_texts(manifest, read('[[datasets]]\nname = "discs"\n'))
    assert with_texts(full, read("datasets = []")).datasets == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("licence = 'MIT'", "unknown key 'licence'.*did you mean"),
        ("license = 3", "license: expected str|license: found 3"),
        ("x = ", "not a TOML file"),
        ("[[pictures]]\nfile = 'a.png'\nshows = 'good'\ncaption = 'a'\nattribution = 'b'",
         r"pictures\[0\].shows: found 'good', allowed: 'use', 'not'"),
        ("[[pictures]]\nfile = 'a.png'\nshows = 'use'\ncaption = 'a'\nattribution = ' '",
         "attribution: found an empty text"),
        ("[[datasets]]\nname = ''", "name: found an empty text"),
        ("[[evaluations]]\nreport = 'r.json'\ndata = ''", "of the report 'r.json': found an empty"),
    ],
)  # fmt: skip
def test_each_mistake_is_told_with_file_and_field(read, text, message):
    with pytest.raises(FormatError, match=message) as error:
        read(text)
    assert "card.toml: " in str(error.value)


def test_without_a_file_the_way_to_one_is_told(tmp_path):
    with pytest.raises(NotFoundError, match="write one with samzoo card PACKAGE --template"):
        read_card_file(tmp_path / "card.toml")


def test_each_text_has_a_place_on_the_card():
    assert set(TEXTS) == {*SECTIONS, *(key for key, _ in HEADINGS.values())}
