"""The page of errors is what samzoo says, and knows every kind of error."""

from errors_page import EXAMPLES, PAGE, kinds, page


def test_every_kind_of_error_has_an_example():
    assert sorted(EXAMPLES) == sorted(kind.__name__ for kind in kinds())


def test_the_page_is_what_samzoo_says(repository, tmp_path):
    assert PAGE.read_text(encoding="utf-8") == page(tmp_path)
