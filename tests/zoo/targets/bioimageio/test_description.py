"""The description in a zip: made from the manifest alone, with a hash for every file."""

import dataclasses
import hashlib
import json
import zipfile

import pytest
import tiny

from samzoo.runtime.formats.manifest import Manifest
from samzoo.zoo.hub.bioimageio_rdf import load_yaml

pytest.importorskip("torch")
core = pytest.importorskip("bioimageio.core")
pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def written(path):
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return load_yaml(files.pop("rdf.yaml"), where="rdf.yaml"), files


def sources(value):
    """Every mapping of the description that names a file."""
    if isinstance(value, dict):
        if "source" in value:
            yield value
        value = list(value.values())
    for each in value if isinstance(value, list) else []:
        yield from sources(each)


def test_every_file_is_named_with_its_sha256(zips):
    for path in zips.values():
        rdf, files = written(path)
        named = {each["source"]: each["sha256"] for each in sources(rdf)}
        assert named == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def test_percentiles_are_stretched_over_the_whole_image(zips):
    rdf, _ = written(zips["ais"])
    (scale_range,) = [p for p in rdf["inputs"][0]["preprocessing"] if p["id"] == "scale_range"]
    assert scale_range["kwargs"]["axes"] == ["channel", "y", "x"]
    assert scale_range["kwargs"]["min_percentile"] == 0.5
    assert scale_range["kwargs"]["max_percentile"] == 99.5


def test_outputs_are_as_large_as_their_inputs_say(zips):
    """bioimageio.core keeps the last block alone of an axis with a fixed size."""
    for path in zips.values():
        rdf, _ = written(path)
        for output in rdf["outputs"]:
            sizes = {axis.get("id", axis["type"]): axis.get("size") for axis in output["axes"]}
            assert sizes["batch"] is None
            for axis in {"y", "x"} & set(sizes):
                tensor = "mask_input" if output["id"] == "low_res_masks" else "image"
                assert sizes[axis] == {"tensor_id": tensor, "axis_id": axis}


def test_the_description_is_made_from_the_manifest(zips):
    model = core.load_model_description(zips["ais"], perform_io_checks=False)
    assert model.name == "tiny-cells (automatic segmentation)"
    assert [author.name for author in model.authors] == ["Ada Lovelace", "Alan Turing"]
    assert model.description == "Finds cells."
    assert {"cells", "fluorescence-light-microscopy", "2d"} <= set(model.tags)
    assert "10.1093/mind/LIX.236.433" in [str(entry.doi) for entry in model.cite]
    channels = model.outputs[0].axes[1].channel_names
    assert list(channels) == ["foreground", "center_distances", "boundary_distances"]
    samzoo = json.loads(json.dumps(model.config.model_dump()["samzoo"]))
    assert samzoo["postprocessing"]["id"] == "microsam_watershed"
    assert samzoo["postprocessing"]["kwargs"] == {
        "foreground_threshold": 0.5, "center_distance_threshold": 0.5,
        "boundary_distance_threshold": 0.5, "foreground_smoothing": 1.0,
        "distance_smoothing": 1.25, "min_size": 7,
    }  # fmt: skip
    rdf, files = written(zips["ais"])
    assert "timestamp" in rdf
    text = files["README.md"].decode()
    assert "# Validation" in text
    assert "ais 0.500" in text


@pytest.mark.parametrize(
    ("found", "declared"), [("Apache-2.0", {"license": "Apache-2.0"}), ("mine", {}), ("", {})]
)
def test_only_an_spdx_licence_is_declared(found, declared, caplog):
    from samzoo.zoo.targets.bioimageio.description import _license
    from samzoo.zoo.targets.bioimageio.tensors import spec

    manifest = Manifest(name="cells", model=tiny.make_config(), files=())
    result = _license(dataclasses.replace(manifest, license=found), spec())
    assert {key: str(value) for key, value in result.items()} == declared
    assert ("SPDX" in caplog.text) == (found == "mine")
