"""``samzoo show``."""

import json


def test_show_prints_the_card_without_control_characters(run, toy_package):
    (toy_package / "README.md").write_bytes("# toy\nÄ\x1b]0;evil\x07\xff".encode("latin-1"))
    status, out, err = run("show", toy_package, model=False)
    assert (status, err) == (0, "")
    assert out.startswith("# toy\n")
    assert not set(out) & {"\x1b", "\x07"}
    status, out, _ = run("show", toy_package, "--json", model=False)
    found = json.loads(out)
    assert found["folder"] == str(toy_package)
    assert found["manifest"]["name"] == "toy"


def test_show_of_a_package_without_card_says_so(run, toy_package):
    assert run("show", toy_package, model=False)[1] == "toy: no card\n"


def test_show_prints_the_shipped_card(run):
    status, out, _ = run("show", "nuclei-vit-t", model=False)
    assert status == 0
    assert "# nuclei-vit-t" in out
