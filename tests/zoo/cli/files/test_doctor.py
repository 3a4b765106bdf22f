"""``samzoo doctor``."""

import json


def test_doctor_is_content(run):
    status, out, err = run("doctor", model=False)
    assert (status, err) == (0, "")
    assert "Segmenting works." in out
    assert json.loads(run("doctor", "--json", model=False)[1])["ok"]
