"""Models of others: each reference is one that samzoo would look up, none stands there twice."""

from samzoo.zoo.cli.parser import parse
from samzoo.zoo.hub.bioimageio_pull import canonical
from samzoo.zoo.hub.bioimageio_source import BIOIMAGEIO_PREFIX, is_zip
from samzoo.zoo.reports.others_models import OTHERS, SOURCE, others_facts, others_table


def test_each_reference_is_a_nickname_in_the_collection():
    references = [each.reference for each in OTHERS]
    assert len(references) == len(set(references)) == 6
    for reference in references:
        assert canonical(reference) == reference
        nickname = reference.removeprefix(BIOIMAGEIO_PREFIX)
        assert not is_zip(nickname)
        adjective, animal = nickname.split("-")
        assert adjective.isalpha()
        assert animal.isalpha()


def test_the_table_has_the_command_of_each():
    rows = others_table().splitlines()[1:]
    for row, each in zip(rows, OTHERS, strict=True):
        words = row.partition("samzoo ")[2].split()
        assert parse(words).options.reference == each.reference
        assert each.segments in row
    assert [row["reference"] for row in others_facts()] == [each.reference for each in OTHERS]
    assert "micro-sam" in SOURCE
