"""Tables of a study: for programs and for people."""

import csv
import io

from samzoo.zoo.studies.results import read_result, table_rows
from samzoo.zoo.studies.tables import runs_csv, table_csv, table_markdown


def parsed(text):
    return list(csv.DictReader(io.StringIO(text)))


def make(runs, finish):
    finish(runs[0], box=0.25)
    finish(runs[1], seconds=1.0, ais=0.5, box=0.75)
    finish(runs[2], seconds=2.0, ais=0.25, box=0.5)
    finish(runs[3], ais=0.4, box=0.7)
    results = [found for found in map(read_result, runs) if found is not None]
    return results, table_rows(runs, results)


def test_programs_get_each_run_and_each_row(runs, finish):
    results, rows = make(runs, finish)
    each = parsed(runs_csv(results))
    assert [row["seed"] for row in each] == ["", "0", "1", "0"]
    assert each[0]["method"] == "untrained"
    assert each[0]["images"] == each[0]["ais"] == each[0]["peak_mb"] == ""
    assert each[1] == {
        "base": "tiny", "data": "cells", "images": "1", "method": "lora", "seed": "0",
        "metric": "msa", "ais": "0.5000", "point": "", "box": "0.7500", "ip": "", "ib": "",
        "seconds_a_step": "1", "peak_mb": "2000",
    }  # fmt: skip
    lora = parsed(table_csv(rows))[1]
    assert (lora["method"], lora["seeds"], lora["images"]) == ("lora", "2", "1")
    assert (lora["ais_mean"], lora["ais_low"], lora["ais_high"]) == ("0.3750", "0.2500", "0.5000")
    assert (lora["point_mean"], lora["seconds_a_step"]) == ("", "1.5")


def test_people_get_a_table_for_each_number_of_images(runs, finish):
    _, rows = make(runs, finish)
    page = table_markdown("Few cells", rows, "scores.png").splitlines()
    assert page[0] == "# Few cells"
    assert "![scores](scores.png)" in page
    first = page.index("## cells, tiny, 1 training image: mSA")
    assert page[first + 2 : first + 7] == [
        "| method | seeds | AIS | box | s a step | MB |",
        "| --- | --- | --- | --- | --- | --- |",
        "| untrained | 1 |  | 0.250 |  |  |",
        "| lora | 2 | 0.375 (0.250-0.500) | 0.625 (0.500-0.750) | 1.5 | 2000 |",
        "| all-weights | 1 of 2 | **0.400** | **0.700** | 1 | 2000 |",
    ]
    second = page.index("## cells, tiny, all training images: mSA")
    assert page[second + 5] == "| lora | 0 of 2 |  |  |  |"
