"""Models tried one after the other: each as alone, one open encoder, none stops another."""

import dataclasses

import numpy as np
import onnxruntime
import pytest

from samzoo.runtime import load
from samzoo.runtime.formats.manifest import EncoderSource, Manifest
from samzoo.zoo.suggestions.trials import PROMPTS_ONLY, is_candidate, try_models


@pytest.fixture
def image(discs):
    return discs((64, 64), [(20, 20), (45, 40)], high=100)


@pytest.fixture
def over(tmp_path, make_shared_package):
    """Packages of adapters alone, beside the one with their encoder."""
    shared = make_shared_package(tmp_path / "toys")
    whole = Manifest.read(shared)
    encoder = next(entry for entry in whole.files if entry.role == "encoder")
    source = EncoderSource(name="toys", reference="toys", sha256=encoder.sha256)
    packages = {"toys": shared}
    for name in ("dark", "bright"):
        folder = tmp_path / name
        folder.mkdir()
        files = tuple(entry for entry in whole.files if entry.adapter == name)
        for entry in files:
            (folder / entry.path).parent.mkdir(parents=True, exist_ok=True)
            (folder / entry.path).write_bytes((shared / entry.path).read_bytes())
        adapters = tuple(entry for entry in whole.adapters if entry.name == name)
        dataclasses.replace(
            whole, name=name, files=files, adapters=adapters, encoder_from=source
        ).write(folder)
        packages[name] = folder
    return packages


def test_each_model_finds_what_it_finds_alone(over, image):
    trials = list(try_models(over, image))
    assert [trial.name for trial in trials] == [
        "toys --adapter dark", "toys --adapter bright", "dark", "bright",
    ]  # fmt: skip
    model = load(over["toys"])
    for trial in trials:
        assert not trial.error
        model.use(trial.adapter or trial.model)
        np.testing.assert_array_equal(trial.labels, model.segment(image))
    assert [trial.objects for trial in trials] == [0, 2, 0, 2]
    assert trials[0].notes  # no object was found


def test_packages_over_one_encoder_open_it_once(over, image, monkeypatch):
    opened = []

    class Spied(onnxruntime.InferenceSession):  # type: ignore[misc]  # it has no types
        def __init__(self, *given, **options):
            super().__init__(*given, **options)
            opened.append(self.get_inputs()[0].name)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Spied)
    assert len(list(try_models(over, image))) == 4
    assert opened.count("input_image") == 1


def test_a_model_that_fails_stops_no_other(tmp_path, toy_package, make_package, discs):
    image = discs((64, 64), [(20, 20), (45, 40)], high=200)
    bad = make_package(tmp_path / "bad")
    (bad / "onnx" / "encoder.onnx").write_bytes(b"x")
    found = list(try_models({"bad": bad, "none": tmp_path / "none", "good": toy_package}, image))
    assert [trial.status for trial in found] == [2, 2, 0]
    assert "damaged" in found[0].line()
    assert found[2].objects == 2
    assert found[2].line().startswith("2 objects, the model's own scale 1, ")


def test_a_model_that_answers_prompts_only_is_no_failure(tmp_path, make_package, toy_config, image):
    package = make_package(tmp_path / "prompts", config=toy_config(ais=False))
    (trial,) = try_models({"prompts": package}, image)
    assert (trial.line(), trial.error, trial.objects) == (PROMPTS_ONLY, "", None)


def test_a_diameter_is_used_or_refused_by_each_model(tmp_path, make_package, toy_config, image):
    sized = make_package(tmp_path / "sized", config=toy_config(object_diameter=10.0))
    plain = make_package(tmp_path / "plain")
    trials = list(try_models({"sized": sized, "plain": plain}, image, diameter=20.0))
    assert trials[0].facts()["used_diameter"] == 20.0
    assert "does not say how large" in trials[1].error


def test_an_encoder_alone_is_no_model(toy_package):
    manifest = Manifest.read(toy_package)
    assert is_candidate(manifest)
    encoder = tuple(entry for entry in manifest.files if entry.role == "encoder")
    assert not is_candidate(dataclasses.replace(manifest, files=encoder))
