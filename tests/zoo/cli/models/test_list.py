"""``samzoo list``."""

import json


def test_list_shows_the_default_model(run):
    status, out, err = run("list", model=False)
    assert (status, err) == (0, "")
    header, *rows = out.splitlines()
    columns = ["name", "segments", "base", "method", "megabytes", "license", "scores", "from"]
    assert header.split() == columns
    assert any(row.startswith("nuclei-vit-t ") for row in rows)
    status, out, _ = run("list", "--json", model=False)
    assert "nuclei-vit-t" in [row["name"] for row in json.loads(out)["models"]]
