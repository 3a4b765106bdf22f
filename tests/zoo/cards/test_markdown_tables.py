"""Tables and pictures in Markdown."""

from samzoo.zoo.cards.markdown_tables import cell, picture, table


def test_a_table_has_a_line_for_each_row():
    assert table(("a", "b"), [("1", "2")]) == ["| a | b |", "| --- | --- |", "| 1 | 2 |"]


def test_texts_stay_in_their_cell():
    assert cell(" a |\n b ") == "a \\| b"
    assert picture("p.png", "a [b]\n(c)") == "![a (b) (c)](p.png)"
