"""The parts of a card about images."""

import dataclasses

import pytest

from samzoo.runtime.formats.manifest import CardPicture, DataSet, Manifest
from samzoo.zoo.cards.card import render_card
from samzoo.zoo.cards.image_sections import dataset_lines, use_lines


@pytest.fixture
def manifest(toy_config):
    return Manifest(
        name="toy", model=toy_config(), files=(), card={"use_when": "Bright | discs."},
        pictures=(
            CardPicture(path="pictures/a.png", shows="use", caption="a|b]", attribution="Ada, CC0"),
            CardPicture(path="pictures/b.png", shows="not", caption="rods", attribution="Bob, CC0"),
        ),
        datasets=(
            DataSet(name="set", url="https://x.org/a b", groups="3 fields", license="CC0-1.0"),
            DataSet(name="own", url="javascript:x", images="two\nlines"),
        ),
    )  # fmt: skip


def test_pictures_stand_in_a_row_under_what_they_show(manifest):
    assert use_lines(manifest, "use") == [
        "", "## Use it when your images look like this", "", "Bright | discs.", "",
        "| ![a\\|b)](pictures/a.png) |", "| --- |", "| a\\|b] *Ada, CC0* |",
    ]  # fmt: skip
    assert "| ![rods](pictures/b.png) |" in use_lines(manifest, "not")
    assert use_lines(dataclasses.replace(manifest, pictures=()), "not") == []


def test_data_sets_are_a_table_with_links_to_the_web_only(manifest):
    rows = dataset_lines(manifest)
    assert rows[3] == "| [set](https://x.org/ab) |  |  | 3 fields |  | CC0-1.0 |  |"
    assert rows[4] == "| own javascript:x |  | two lines |  |  |  |  |"


def test_the_card_has_them_before_all_else(manifest):
    card = render_card(manifest)
    assert card.index("## Use it when") < card.index("## Not when") < card.index("## Use\n")
    assert "## Training data\n\n| data | used for |" in card
