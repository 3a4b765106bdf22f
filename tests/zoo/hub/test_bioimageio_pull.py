"""Pulling models of BioImage.IO, from a collection on the loopback interface and from zips."""

import dataclasses
import hashlib
import importlib
import io
import json
import stat
import warnings
import zipfile

import numpy as np
import pytest
import tifffile
import tiny
from bioimageio_zips import export_zips, make_sam
from fake_hub import FakeHub

from samzoo.runtime.errors import FormatError, InputError, NotFoundError, StorageError
from samzoo.runtime.formats.architecture import UnetrDecoderConfig
from samzoo.runtime.formats.manifest import Manifest
from samzoo.runtime.loading import load
from samzoo.zoo import export, resolve, write_checkpoint
from samzoo.zoo.cli import main
from samzoo.zoo.downloads import cache
from samzoo.zoo.downloads import documents as web_document
from samzoo.zoo.downloads import transfer as download
from samzoo.zoo.hub.bioimageio_pull import pull_from_bioimageio
from samzoo.zoo.hub.bioimageio_rdf import load_yaml

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("ruyaml")
pytestmark = pytest.mark.torch

NICKNAME = "bioimageio:toy-shark"
REPOSITORY = "bioimage-io/toy-shark"


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(download, "PAUSE", 0.001)
    monkeypatch.setattr(web_document, "PAUSE", 0.001)
    monkeypatch.setenv("SAMZOO_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def collection(monkeypatch):
    with FakeHub() as server:
        index = f"{server.endpoint}/bioimage-io/collection/resolve/main/index.json"
        pattern = f"{server.endpoint}/bioimage-io/{{bioimageio_id}}/resolve/main/rdf.yaml"
        monkeypatch.setenv("BIOIMAGEIO_COLLECTION_INDEX_URL", index)
        monkeypatch.setenv("BIOIMAGEIO_COLLECTION_HTTP_PATTERN", pattern)
        yield server


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base") / "model"
    # As micro-sam stretches intensities, and convert declares for its checkpoints.
    config = tiny.make_config(ais=False, wider=True, intensity="min_max")
    unetr = UnetrDecoderConfig(features=(12, 10, 8, 6), upsampling="transposed")
    architecture = dataclasses.replace(config.architecture, ais_decoder=unetr)
    sam = tiny.make_sam(dataclasses.replace(config, architecture=architecture))
    return tiny.write_base(folder, sam)


@pytest.fixture(scope="module")
def files(base, tmp_path_factory):
    """A package as micro-sam publishes them: encoder and AIS decoder in two files, and code."""
    path = tmp_path_factory.mktemp("pt") / "both.pt"
    write_checkpoint(base, path, to="micro-sam")
    state = torch.load(path, weights_only=True)
    canary = path.with_name("ran")
    code = f"open({str(canary)!r}, 'w').close()\n".encode()
    found = {
        "vit_b.pt": saved(state["model_state"]),
        "vit_b_decoder.pt": saved(state["decoder_state"]),
        "predictor_adaptor.py": code,
    }
    found["rdf.yaml"] = described(found)
    yield found
    assert not canary.exists(), "the architecture file was run"


def saved(value):
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def digest(data):
    return hashlib.sha256(data).hexdigest()


def described(files, **changes):
    """JSON is YAML too."""

    def named(name):
        return {"source": name, "sha256": digest(files[name])}

    code = {**named("predictor_adaptor.py"), "callable": "PredictorAdaptor", "kwargs": {}}
    value = {
        "type": "model", "format_version": "0.5.12", "name": "Toy SAM", "license": "CC-BY-4.0",
        "weights": {"pytorch_state_dict": {**named("vit_b.pt"), "architecture": code}},
        "attachments": [named("vit_b_decoder.pt")] if "vit_b_decoder.pt" in files else [],
        **changes,
    }  # fmt: skip
    return json.dumps(value, indent=1).encode()


def publish(collection, folder, files, sha256=None):
    for place, content in (
        (REPOSITORY, files),
        (
            "bioimage-io/collection",
            {
                "index.json": json.dumps(
                    {"items": [{"id": REPOSITORY, "type": "model", "versions": [{
                        "version": "1.0",
                        "source": f"{collection.endpoint}/{REPOSITORY}/resolve/main/rdf.yaml",
                        "sha256": sha256 or digest(files["rdf.yaml"]),
                    }]}]}
                ).encode()
            },
        ),
    ):  # fmt: skip
        target = folder / place
        target.mkdir(parents=True, exist_ok=True)
        for name, data in content.items():
            (target / name).write_bytes(data)
        collection.put(place, target)


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return f"bioimageio:{path}"


def assert_same_model(folder, base, tmp_path):
    export(base, tmp_path / "ours", name="ours")
    image = tiny.make_cells()[0]
    expected, found = load(tmp_path / "ours"), load(folder)
    box = np.array([[8.0, 8.0, 40.0, 40.0]], np.float32)
    ours, theirs = (m.prompt(m.embed(image), boxes=box) for m in (expected, found))
    assert 0 < np.asarray(ours[0]).mean() < 1
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(np.asarray(other), np.asarray(one))
    np.testing.assert_array_equal(found.segment(image), expected.segment(image))
    digests = [Manifest.read(each).model.weights_digest for each in (folder, tmp_path / "ours")]
    assert digests[0] == digests[1]


def test_a_model_is_pulled_by_nickname_and_works_offline_afterwards(
    collection, files, base, tmp_path, monkeypatch
):
    publish(collection, tmp_path / "web", files)
    folder = pull_from_bioimageio(NICKNAME)
    assert_same_model(folder, base, tmp_path)
    manifest = Manifest.read(folder)
    assert (manifest.name, manifest.license) == ("toy-shark", "CC-BY-4.0")
    asked = [path for _, path, _ in collection.log]
    assert not any(path.endswith(".py") for path in asked)
    assert resolve(NICKNAME) == folder
    assert len(collection.log) == len(asked)


def test_without_an_index_the_pattern_leads_to_the_model(collection, files, tmp_path):
    publish(collection, tmp_path / "web", files)
    collection.fail["index.json"] = [404]
    assert pull_from_bioimageio(NICKNAME).is_dir()


def test_a_zip_with_both_states_in_one_file_gives_the_same_model(files, base, tmp_path):
    states = [
        torch.load(io.BytesIO(files[name]), weights_only=True)
        for name in ("vit_b.pt", "vit_b_decoder.pt")
    ]
    both = saved(dict(zip(("model_state", "decoder_state"), states, strict=True)))
    changed = {**files, "vit_b.pt": both}
    reference = zipped(tmp_path / "m.zip", {**changed, "rdf.yaml": described(changed)})
    folder = pull_from_bioimageio(reference)
    assert_same_model(folder, base, tmp_path)
    (tmp_path / "m.zip").unlink()
    assert resolve(reference) == folder


def test_the_command_line_pulls_a_zip(files, tmp_path, capsys):
    assert main(["pull", zipped(tmp_path / "m.zip", files)]) == 0
    assert str(tmp_path / "cache") in capsys.readouterr().out


def test_a_changed_description_is_refused(collection, files, tmp_path):
    publish(collection, tmp_path / "web", files, sha256="0" * 64)
    with pytest.raises(FormatError, match="the collection's index says 0000"):
        pull_from_bioimageio(NICKNAME)
    assert cache.cached() == []


@pytest.mark.parametrize("name", ["vit_b.pt", "vit_b_decoder.pt"])
def test_wrong_bytes_are_refused(collection, files, tmp_path, name):
    publish(collection, tmp_path / "web", files)
    collection.corrupt.add(name)
    with pytest.raises(FormatError, match="found sha256"):
        pull_from_bioimageio(NICKNAME)
    assert cache.cached() == []


def test_a_server_that_stays_down_is_told(collection, files, tmp_path):
    publish(collection, tmp_path / "web", files)
    collection.fail["vit_b.pt"] = [503] * 50
    with pytest.raises(StorageError, match="HTTP 503"):
        pull_from_bioimageio(NICKNAME)


def test_a_missing_file_is_told(collection, files, tmp_path):
    publish(collection, tmp_path / "web", {n: d for n, d in files.items() if n != "vit_b.pt"})
    with pytest.raises(NotFoundError, match=r"vit_b\.pt"):
        pull_from_bioimageio(NICKNAME)


def test_a_broken_connection_is_continued_where_it_broke(collection, files, tmp_path):
    publish(collection, tmp_path / "web", files)
    collection.cut["vit_b.pt"] = [10**9, 20_000]  # the first one only asks for the size
    assert pull_from_bioimageio(NICKNAME).is_dir()
    ranges = [r for _, path, r in collection.log if path.endswith("vit_b.pt")]
    assert ranges == [None, None, "bytes=20000-"]


def test_weights_that_are_no_sam_are_refused_with_the_code_that_they_need(files, tmp_path):
    changed = {"vit_b.pt": saved({"layer.weight": torch.ones(2, 2)}),
               "predictor_adaptor.py": files["predictor_adaptor.py"]}  # fmt: skip
    reference = zipped(tmp_path / "m.zip", {**changed, "rdf.yaml": described(changed)})
    sha256 = digest(files["predictor_adaptor.py"])
    with pytest.raises(FormatError, match=rf"predictor_adaptor\.py' \(sha256 '{sha256}'\)"):
        pull_from_bioimageio(reference)
    assert cache.cached() == []


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A package, and the BioImage.IO zips that were exported with it."""
    pytest.importorskip("bioimageio.core")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of tracing, and the library's
        sam = make_sam(scale=1.5, intensity="percentile", percentiles=(0.5, 99.5))
        return export_zips(tmp_path_factory.mktemp("own"), sam, precision="int8", weights=True)


@pytest.mark.parametrize("purpose", ["ais", "prompts"])
def test_samzoo_s_own_zip_is_pulled_verified_and_run_without_torch(
    own, tmp_path, monkeypatch, capsys, purpose
):
    def missing(name, *, extra):
        if name in ("torch", "onnx", "bioimageio"):
            raise AssertionError(f"{name} was asked for")
        return importlib.import_module(name)

    monkeypatch.setattr("samzoo.zoo.hub.bioimageio_pull.require", missing)
    monkeypatch.setattr("samzoo.zoo.hub.bioimageio_rdf.require", missing)
    reference = f"bioimageio:{own / 'bioimageio' / f'tiny-cells-{purpose}.zip'}"
    assert main(["pull", reference]) == 0
    assert main(["verify", reference]) == 0
    image = tmp_path / "cells.tif"
    tifffile.imwrite(image, tiny.make_cells((90, 130), seed=5)[0])
    for name, model in (("original", str(own)), ("pulled", reference)):
        output = tmp_path / f"{name}.tif"
        assert main(["segment", str(image), "-o", str(output), "--model", model]) == 0
    labels = (tmp_path / "original.tif").read_bytes()
    assert labels == (tmp_path / "pulled.tif").read_bytes()
    assert tifffile.imread(tmp_path / "original.tif").max() > 0
    manifest = Manifest.read(resolve(reference))
    assert (manifest.name, manifest.precision) == ("tiny-cells", "int8")
    capsys.readouterr()


def repacked(path, target, change):
    """Copy a zip with other content."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    return zipped(target, files)


def without_package(files):
    rdf = load_yaml(files["rdf.yaml"], where="rdf.yaml")
    rdf["attachments"] = []
    files["rdf.yaml"] = json.dumps(rdf, default=str).encode()


def changed_package(files):
    files["tiny-cells.samzoo.zip"] = files["tiny-cells.samzoo.zip"][:-1] + b"x"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_package, r"none ends with \.samzoo\.zip.*export the model again"),
        (changed_package, "the description says"),
    ],
)
def test_an_own_zip_of_an_older_samzoo_or_a_changed_one_is_refused(own, tmp_path, change, message):
    path = own / "bioimageio" / "tiny-cells-ais.zip"
    with pytest.raises(FormatError, match=message):
        pull_from_bioimageio(repacked(path, tmp_path / "m.zip", change))
    assert cache.cached() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"weights": {"onnx": {}, "torchscript": {}}},
            r"'torchscript', missing",
        ),
        ({"type": "dataset"}, "found type 'dataset'"),
        ({"format_version": "0.4.9"}, "update-format"),
        ({"weights": {"pytorch_state_dict": {"source": "../x.pt"}}}, "unsafe path"),
        ({"weights": {"pytorch_state_dict": {"source": "x.pt"}}}, "expected 64"),
        ({"weights": []}, "expected a mapping"),
    ],
)
def test_descriptions_that_samzoo_cannot_take_are_refused(files, tmp_path, changes, message):
    rdf = described(files, **changes)
    with pytest.raises(FormatError, match=message):
        pull_from_bioimageio(zipped(tmp_path / "m.zip", {**files, "rdf.yaml": rdf}))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "YAML alias"),
        (b"a: !!python/object/apply:os.system [ls]\n", "not a usable YAML"),
        (b"a: [", "not a usable YAML"),
        (b"\xff\xfe\x00", "not a usable YAML"),
        (b"[" * 100_000, "nested more than 50"),
        (b"#" * 2**21, "allowed are"),
    ],
)
def test_dangerous_or_broken_yaml_is_refused(data, message):
    with pytest.raises(FormatError, match=message):
        load_yaml(data, where="rdf.yaml")


def link(name):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([("../out.pt", b"x")], "unsafe path"),
        ([("/out.pt", b"x")], "unsafe path"),
        ([("C:\\out.pt", b"x")], "unsafe path"),
        ([(link("weights.pt"), b"/etc/passwd")], "a link"),
        ([("a.pt", b"x"), ("a.pt", b"y")], "the same name"),
        ([("a.pt", b"x"), ("A.PT", b"y")], "the same name"),
        ([("big.pt", bytes(2**23))], "allowed are 200 times"),
        ([("a.txt", b"x")], "has no rdf.yaml"),
    ],
)
def test_dangerous_zips_are_refused(tmp_path, entries, message):
    path = tmp_path / "m.zip"
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # zipfile's, of the double name
        for name, data in entries:
            archive.writestr(name, data, zipfile.ZIP_DEFLATED)
    with pytest.raises(FormatError, match=message):
        pull_from_bioimageio(f"bioimageio:{path}")
    assert {each.name for each in tmp_path.iterdir()} <= {"m.zip", "cache"}


def test_a_zip_that_is_none_is_refused(tmp_path):
    (tmp_path / "m.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(FormatError, match="damaged archive"):
        pull_from_bioimageio(f"bioimageio:{tmp_path / 'm.zip'}")


@pytest.mark.parametrize("reference", ["", "../x", "Toy", "a b", "http://host/m.zip"])
def test_other_references_are_refused(reference):
    with pytest.raises(InputError, match="expected"):
        pull_from_bioimageio(f"bioimageio:{reference}")
