"""``samzoo plan``: one method, as JSON, and errors in a sentence."""

import json

import pytest
import tiny

pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytestmark = pytest.mark.torch


@pytest.fixture
def base(tmp_path):
    return tiny.write_base(tmp_path / "base", tiny.make_sam(tiny.make_config(ais=False)))


def test_settings_of_the_command_line_replace_the_configs(run_here, base):
    words = ("plan", "--base", base, "--method", "freeze_encoder", "--json")
    status, out, _ = run_here(*words, "--objects", "1", "--ais-decoder", "none")
    assert status == 0
    few = json.loads(out)["methods"][0]
    many = json.loads(run_here(*words, "--objects", "9", "--batch-size", "2")[1])["methods"][0]
    assert few["model_memory"] < many["model_memory"]
    assert few["trainable"] < many["trainable"]


def test_a_wrong_number_is_one_sentence(run_here, base):
    status, out, errors = run_here("plan", "--base", base, "--objects", "0")
    assert (status, out) == (2, "")
    assert errors == "samzoo: n_objects: must be at least 1, found 0\n"
