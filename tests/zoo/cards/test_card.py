"""The model card: numbers from the manifest, and a header that YAML readers understand."""

import dataclasses
import json
import shutil

import pytest

from samzoo.runtime.formats.architecture import Architecture
from samzoo.runtime.formats.config import ModelConfig, Preprocessing
from samzoo.runtime.formats.families.tiny_vit import TinyVitConfig
from samzoo.runtime.formats.manifest import LoadProof, Manifest
from samzoo.zoo.cards.card import MANDATORY, SECTIONS, card_problems, render_card
from samzoo.zoo.cards.card_header import header_of

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


HEADER_SCHEMA = {
    "type": "object",
    "properties": {
        "library_name": {"const": "samzoo"},
        "pipeline_tag": {"const": "mask-generation"},
        "tags": {"type": "array", "items": {"type": "string", "pattern": "^[a-z0-9-]+$"}},
        "license": {"type": "string", "pattern": "^[a-z0-9.-]+$"},
        "license_name": {"type": "string"},
        "base_model": {"type": "string", "pattern": "^[^/]+/[^/]+$"},
        "base_model_relation": {"enum": ["adapter", "finetune", "quantized"]},
        "model-index": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "results"],
                "properties": {
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["task", "dataset", "metrics"],
                            "properties": {
                                "task": {"type": "object", "required": ["type"]},
                                "dataset": {"type": "object", "required": ["name", "type"]},
                                "metrics": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "required": ["type", "value"],
                                        "properties": {"value": {"type": "number"}},
                                    },
                                },
                            },
                        },
                    }
                },
            },
        },
    },
    "required": ["library_name", "pipeline_tag", "tags"],
    "additionalProperties": False,
    "dependentRequired": {
        "base_model": ["base_model_relation"],
        "base_model_relation": ["base_model"],
        "license_name": ["license"],
    },
}
"""What Hugging Face reads of a header, after its documentation of model cards."""


def test_headers_are_what_hugging_face_reads(full):
    jsonschema = pytest.importorskip("jsonschema")
    yaml = pytest.importorskip("yaml")
    based = manifest(source={"base": {"name": "SAM", "huggingface": "facebook/sam-vit-base"}})
    for one in (manifest(), full, based, dataclasses.replace(based, precision="int8")):
        header = header_of(one)
        jsonschema.validate(header, HEADER_SCHEMA)
        text = render_card(one).split("---")[1]
        assert yaml.safe_load(text) == json.loads(json.dumps(header))
    assert header_of(based)["base_model_relation"] == "finetune"
    assert header_of(dataclasses.replace(based, precision="int8"))["base_model_relation"] == (
        "quantized"
    )


def test_an_uncommon_licence_is_named(full):
    header = header_of(dataclasses.replace(full, license="Zlib"))
    assert (header["license"], header["license_name"]) == ("other", "zlib")


def test_a_full_card_has_no_problems(full):
    assert card_problems(full) == []


@pytest.mark.parametrize("field", ["license", "segments", "metrics", *MANDATORY])
def test_each_missing_field_is_told(full, field):
    if field in MANDATORY:
        found = card_problems(dataclasses.replace(full, card={**full.card, field: " "}))
    else:
        found = card_problems(dataclasses.replace(full, **{field: type(getattr(full, field))()}))
    assert len(found) == 1
    assert found[0].split(":")[0].endswith(field) or field == "metrics"
    assert "missing; " in found[0]


def test_a_base_without_a_name_is_told():
    assert any(p.startswith("model.source.base: missing") for p in card_problems(manifest()))


def test_tools_that_open_it_are_listed(full):
    proof = LoadProof(
        target="osam", tool="osam", version="0.8.1", date="2026-11-25", result="IoU 0.99"
    )
    card = render_card(dataclasses.replace(full, load_proofs=(proof,)))
    assert "## Opens in" in card
    assert "| osam | osam 0.8.1 | IoU 0.99 | 2026-11-25 |" in card
    assert "## Opens in" not in render_card(full)


@pytest.fixture
def package(tmp_path):
    from samzoo.zoo import resolve

    shutil.copytree(resolve("nuclei-vit-t"), tmp_path / "package")
    return tmp_path / "package"


def test_a_card_is_rendered_again(package, capsys):
    from samzoo.zoo import verify
    from samzoo.zoo.cli import main

    shipped = (package / "README.md").read_text()
    (package / "README.md").write_text("changed by hand")
    assert main(["card", str(package), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["missing"] == []
    assert (package / "README.md").read_text() == shipped
    assert verify(package, run=False).ok


def test_a_card_vouches_for_no_changed_file(package, capsys):
    from samzoo.zoo.cli import main

    (package / "cover.png").write_bytes(b"other")
    before = (package / "samzoo.json").read_bytes()
    assert main(["card", str(package)]) == 2
    assert "cover.png" in capsys.readouterr().err
    assert (package / "samzoo.json").read_bytes() == before


def test_pairs_that_were_left_out_are_told_in_card_and_header(full):
    full.metrics["evaluations"][0]["n_left_out"] = 2
    card = render_card(full)
    told = "(30 objects; 2 of the annotated images could not be read and are left out)"
    assert told in card
    assert header_of(full)["model-index"][0]["results"][0]["dataset"]["args"] == {"n_left_out": 2}
