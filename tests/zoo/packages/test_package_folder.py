"""What an export measured, in the manifest."""

import dataclasses

import tiny

from samzoo.runtime.formats.manifest import Manifest
from samzoo.zoo.cards.card import render_card
from samzoo.zoo.packages.package_folder import with_measured, without_local_paths

ROW = {"height": 256, "width": 192, "low": 20, "high": 120, "iou": 0.0625}


def manifest(**metrics):
    return Manifest(name="cells", model=tiny.make_config("vit"), files=(), metrics=metrics)


def test_an_earlier_exports_numbers_do_not_survive():
    old = manifest(tools={"osam": [ROW]}, evaluations=[])
    new = with_measured(old, {"cvat": [ROW]})
    assert new.metrics == {"tools": {"cvat": [ROW]}, "evaluations": []}
    assert with_measured(old, {}).metrics == {"evaluations": []}


def test_paths_of_somebodys_computer_become_names():
    source = {
        "training": {
            "data": {
                "images": "/home/ada/patients/2024",
                "labels": r"C:\patients\x",
                "read": {"a": 1},
            },
            "digests": ["sha256:0", "~/secret/list.csv"],
        },
        "license": "CC-BY-4.0",
        "url": "https://example.org/a/b",
    }
    config = dataclasses.replace(tiny.make_config("vit"), source=source)
    found = without_local_paths(Manifest(name="cells", model=config, files=())).model.source
    assert found["training"]["data"] == {"images": "2024", "labels": "x", "read": {"a": 1}}
    assert found["training"]["digests"] == ["sha256:0", "list.csv"]
    assert {key: found[key] for key in ("license", "url")} == {
        "license": "CC-BY-4.0", "url": "https://example.org/a/b",
    }  # fmt: skip


def test_rows_are_told_in_words_and_stand_on_the_card():
    found = with_measured(manifest(), {"cvat": [ROW]})
    assert "| cvat | 256 x 192 | 20 to 120 | 0.062 |" in render_card(found)
    assert "Masks in other tools" not in render_card(manifest())
