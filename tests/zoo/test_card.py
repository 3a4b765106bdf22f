"""The model card: numbers from the manifest, and a header that YAML readers understand."""

import pytest

from samzoo.runtime.config import Architecture, ModelConfig, Preprocessing, TinyVitConfig
from samzoo.runtime.manifest import Manifest
from samzoo.zoo.card import SECTIONS, render_card

SCORES = {"msa": 0.66123, "sa50": 0.9, "sa75": 0.75, "dice": 0.88}


def manifest(**fields):
    model = ModelConfig(
        architecture=Architecture(image_encoder=TinyVitConfig()),
        preprocessing=Preprocessing(
            intensity="percentile", percentiles=(0.1, 99.9), gamma=0.7, scale=2
        ),
        weights_digest="sha256:abc",
        source=fields.pop("source", {}),
    )
    return Manifest(**{"name": "nuclei", "model": model, "files": (), **fields})


@pytest.fixture
def full():
    return manifest(
        segments="nuclei",
        license="Apache-2.0",
        metrics={
            "evaluations": [
                {
                    "subject": "this model", "data": "DSB 2018", "split": "bottom right",
                    "n_objects": 30, "note": "Three seeds.", "command": "samzoo evaluate --x",
                    "scores": {"ais": SCORES, "box": SCORES, "box_fill": SCORES},
                },
                {"subject": "the base", "data": "DSB 2018", "scores": {"box": SCORES}},
            ]
        },
        card={key: f"Text of {key}: a colon, a \"quote\"." for key in SECTIONS} | {
            "cover": "cover.png"
        },
        source={
            "base": {"name": "LiteMedSAM"},
            "merged_from": {"hyperparameters": {"rank": 32}},
            "training": {
                "method": "lora", "steps": 100, "seconds": 50, "base_digest": "sha256:base",
                "config": {"learning_rate": 5e-4, "seed": 3},
            },
        },
    )  # fmt: skip


def test_a_card_of_nothing_but_a_name_has_no_empty_section():
    card = render_card(manifest())
    assert "# nuclei\n\nSegments objects.\n" in card
    assert "## Licence\n\nNot declared." in card
    for heading in ("Intended use", "Limitations", "Training", "Scores"):
        assert f"## {heading}" not in card
    assert "license" not in card.split("---")[1]
    assert "model-index" not in card


def test_every_section_and_number_is_in_the_card(full):
    card = render_card(full)
    for key, heading in SECTIONS.items():
        assert f"Text of {key}" in card
        assert f"## {heading}" in card
    for line in (
        "![A segmentation by this model](cover.png)",
        "| ais | 0.661 | 0.900 | 0.750 | 0.880 |",
        "**this model** on DSB 2018, bottom right (30 objects). Three seeds.",
        "**the base** on DSB 2018,  (? objects).",
        "Command: `samzoo evaluate --x`",
        "| Base | LiteMedSAM, sha256:base |",
        '| Method | lora {"rank": 32} |',
        "| Intensities | percentiles 0.1 to 99.9 of the image, gamma 0.7 |",
        "| Scale | 2 model pixels an image pixel |",
        "| Weights digest | `sha256:abc` |",
        "samzoo segment image.tif -o labels.tif --overlay overlay.png --model nuclei",
    ):
        assert line in card, line


def test_the_header_is_yaml_with_the_results_of_this_model(full):
    yaml = pytest.importorskip("yaml")
    _, header, _ = render_card(full).split("---\n", 2)
    found = yaml.safe_load(header)
    assert found["license"] == "apache-2.0"
    assert found["library_name"] == "samzoo"
    assert "onnx" in found["tags"]
    (index,) = found["model-index"]
    assert index["name"] == "nuclei"
    assert [result["task"]["name"] for result in index["results"]] == ["ais", "box"]
    assert index["results"][0]["dataset"] == {
        "name": "DSB 2018",
        "type": "local",
        "split": "bottom right",
    }
    assert index["results"][0]["metrics"][0] == {"type": "msa", "value": 0.6612}


def test_names_in_the_header_cannot_end_it():
    yaml = pytest.importorskip("yaml")
    entry = {"subject": "this model", "data": 'x"\n---\nlicense: mit', "scores": {"ais": SCORES}}
    card = render_card(manifest(metrics={"evaluations": [entry]}))
    header = card[4 : card.index("\n---\n", 4)]
    (index,) = yaml.safe_load(header)["model-index"]
    assert index["results"][0]["dataset"]["name"] == entry["data"]
