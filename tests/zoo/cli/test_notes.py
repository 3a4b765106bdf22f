"""Warnings of the library as notes of a result."""

import logging

from samzoo.zoo.cli.notes import collected_warnings


def test_warnings_are_collected_once_and_not_printed_besides(caplog):
    logger = logging.getLogger("samzoo.zoo.somewhere")
    with collected_warnings() as notes:
        logger.warning("cells: %s", "gamma 0.7")
        logger.warning("cells: gamma 0.7")
        logger.info("nothing of note")
    assert notes == ["cells: gamma 0.7"]
    assert caplog.records == []
    logger.warning("afterwards")
    assert notes == ["cells: gamma 0.7"]
    assert [record.getMessage() for record in caplog.records] == ["afterwards"]
