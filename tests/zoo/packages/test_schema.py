"""docs/samzoo-package.schema.json says what samzoo.json may hold, as the classes do."""

import json
from pathlib import Path

import pytest
import tiny

from samzoo.zoo import resolve
from samzoo.zoo.packages.schema import package_schema

jsonschema = pytest.importorskip("jsonschema")

PAGE = Path(__file__).resolve().parents[3] / "docs" / "samzoo-package.schema.json"


@pytest.fixture(scope="module")
def validator():
    schema = json.loads(PAGE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.fixture
def manifest():
    return json.loads((resolve("nuclei-vit-t") / "samzoo.json").read_text(encoding="utf-8"))


def test_the_published_schema_is_that_of_the_classes():
    """If this fails: python -m samzoo.zoo.packages.schema > docs/samzoo-package.schema.json."""
    assert json.loads(PAGE.read_text(encoding="utf-8")) == package_schema()


def test_the_shipped_package_is_valid(validator, manifest):
    validator.validate(manifest)


@pytest.mark.torch
@pytest.mark.onnx
@pytest.mark.parametrize("encoder", ["vit", "tiny_vit"])
def test_an_exported_package_is_valid(validator, tmp_path, encoder):
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from samzoo.zoo import export

    base = tiny.write_base(tmp_path / "base", tiny.make_sam(tiny.make_config(encoder, scale=1.5)))
    export(base, tmp_path / "package", weights=True)
    validator.validate(json.loads((tmp_path / "package" / "samzoo.json").read_text()))


WRONG = {
    "another format": lambda m: m["format"].update(name="other"),
    "a newer version": lambda m: m["format"].update(version=99),
    "an unknown field": lambda m: m.update(more=1),
    "a name with a slash": lambda m: m.update(name="a/b"),
    "a path that leaves": lambda m: m["files"][0].update(path="../x", role="encoder"),
    "an absolute path": lambda m: m["files"][0].update(path="/x"),
    "a negative size": lambda m: m["files"][0].update(size=-1),
    "a short hash": lambda m: m["files"][0].update(sha256="abc"),
    "a precision": lambda m: m.update(precision="int4"),
    "no model": lambda m: m.pop("model"),
    "a size as text": lambda m: m["model"]["architecture"]["image_encoder"].update(image_size="9"),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_what_samzoo_refuses_is_not_valid(validator, manifest, change):
    change(manifest)
    assert not validator.is_valid(manifest)
