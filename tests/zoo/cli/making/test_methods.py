"""``samzoo methods``: for one architecture, or the whole page."""

import json


def test_the_page_is_for_all_architectures(run_here):
    status, out, errors = run_here("methods", "--markdown", "--arch", "vit_l")
    assert (status, out) == (2, "")
    assert "--markdown: the page has all architectures; omit --arch" in errors
    status, out, _ = run_here("methods", "--markdown", "--json")
    assert json.loads(out)["page"].startswith("# Finetuning methods\n")


def test_the_default_architecture_is_vit_b(run_here):
    assert run_here("methods") == run_here("methods", "--arch", "vit_b")
