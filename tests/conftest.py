"""Fixtures of all parts, above all a toy model that needs neither torch nor onnx.

Its rules stand in ``goldens/make_toy_onnx.py``: bright regions are objects, a prompt marks what is
bright within 12 pixels of it. ``ToyNetworks`` computes them in numpy, ``toy_package`` is a package
with the same rules as ONNX graphs.
"""

import dataclasses
import hashlib
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from samzoo.runtime.formats.architecture import Architecture, LightDecoderConfig
from samzoo.runtime.formats.config import AisParameters, ModelConfig, Preprocessing
from samzoo.runtime.formats.families.vit import VitConfig
from samzoo.runtime.formats.manifest import AdapterEntry, EncoderSource, FileEntry, Manifest
from samzoo.runtime.model import Model

os.environ["XDG_CONFIG_HOME"] = str(Path(__file__).parent / "no-settings")  # no developer's choice
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # tests import onnxruntime themselves, too
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch's; the processes share the cores

GOLDENS = Path(__file__).parent / "goldens"
TOY_GRAPHS = GOLDENS / "toy_onnx"
TOY_SIDE = 64


@pytest.fixture(scope="session", autouse=True)
def interruptible():
    """Ctrl-C interrupts tests and what they start, also under ``nohup``, which ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def golden():
    """Reads a file of ``tests/goldens`` by its name; gives its arrays."""

    def read(name):
        with np.load(GOLDENS / f"{name}.npz") as file:
            return dict(file)

    return read


@pytest.fixture
def run_verb():
    """Runs a verb of the command line, which must succeed."""
    from samzoo.zoo.cli import main

    def run(*arguments):
        assert main([str(argument) for argument in arguments]) == 0

    return run


class ToyNetworks:
    """The toy model in numpy; remembers what it was asked."""

    def __init__(self):
        self.images, self.calls = [], []

    def encode(self, image):
        self.images.append(image)
        grey = image.astype(np.float32).mean(axis=2) / np.float32(255)
        padded = np.zeros((TOY_SIDE, TOY_SIDE), np.float32)
        padded[: grey.shape[0], : grey.shape[1]] = grey
        blocks = padded.reshape(16, 4, 16, 4).transpose(1, 3, 0, 2).reshape(16, 16, 16)
        return np.concatenate([blocks, np.zeros((240, 16, 16), np.float32)])[None]

    def decode_prompts(
        self, image_embeddings, point_coords, point_labels, mask_input, *, multimask_output=None
    ):
        self.calls.append((point_coords, point_labels, mask_input))
        used = point_labels > -1
        center = (point_coords * used[..., None]).sum(1) / used.sum(1, keepdims=True)
        rows, columns = np.mgrid[:TOY_SIDE, :TOY_SIDE]
        x, y = center[:, 0, None, None], center[:, 1, None, None]
        near = (columns - x) ** 2 + (rows - y) ** 2 <= 144
        bright = (toy_image(image_embeddings) - np.float32(0.5)) * np.float32(20)
        low = np.where(near, bright, np.float32(-10))[:, None]
        if mask_input is not None:
            low = low + mask_input
        iou = 0.1 * used.sum(1, keepdims=True)
        if multimask_output:  # the same three times
            low, iou = np.repeat(low, 3, axis=1), np.repeat(iou, 3, axis=1)
        return iou.astype(np.float32), low.astype(np.float32)

    def decode_ais(self, image_embeddings):
        image = toy_image(image_embeddings)
        return np.stack([image, 1 - image, 1 - image])[None]


class LeaningNetworks(ToyNetworks):
    """Its maps fade towards the right of what it sees: they depend on where the tile lies."""

    def decode_ais(self, image_embeddings):
        fading = np.linspace(1, 0.6, TOY_SIDE, dtype=np.float32)
        return super().decode_ais(image_embeddings) * fading


def toy_image(image_embeddings):
    """The padded image that toy embeddings hold."""
    blocks = image_embeddings[0, :16].reshape(4, 4, 16, 16)
    return blocks.transpose(2, 0, 3, 1).reshape(TOY_SIDE, TOY_SIDE)


def make_toy_config(*, scale=1.0, ais=True, intensity="none", object_diameter=None):
    encoder = VitConfig(image_size=TOY_SIDE, patch_size=4, embed_dim=8, depth=1, num_heads=1)
    return ModelConfig(
        architecture=Architecture(
            image_encoder=encoder, ais_decoder=LightDecoderConfig() if ais else None
        ),
        preprocessing=Preprocessing(
            scale=scale, intensity=intensity, object_diameter=object_diameter
        ),
        ais=AisParameters(foreground_smoothing=0, distance_smoothing=0),
        weights_digest="sha256:toy",
    )


def write_toy_package(folder, *, config=None, graphs=None, **fields):
    """Write a package; ``graphs`` replaces the bytes of a role."""
    config = config or make_toy_config()
    roles = ["encoder", "mask_decoder"]
    roles += ["ais_decoder"] if config.architecture.ais_decoder is not None else []
    content = {role: (TOY_GRAPHS / f"{role}.onnx").read_bytes() for role in roles}
    entries = []
    (folder / "onnx").mkdir(parents=True)
    for role, data in {**content, **(graphs or {})}.items():
        path = f"onnx/{role}.onnx"
        (folder / path).write_bytes(data)
        entries.append(
            FileEntry(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest(), role=role)
        )
    manifest = Manifest(**{"name": "toy", "model": config, "files": tuple(entries), **fields})
    manifest.write(folder)
    return folder


def factor_file(folder, factors):
    """The bytes of an ``.onnx_adapter`` file with these arrays, written by onnxruntime."""
    from onnxruntime import AdapterFormat, OrtValue

    file = AdapterFormat()
    file.set_parameters({n: OrtValue.ortvalue_from_numpy(v) for n, v in factors.items()})
    file.export_adapter(str(folder / "written.onnx_adapter"))
    return (folder / "written.onnx_adapter").read_bytes()


def toy_factors(gain, rank=1):
    """Factors whose product is ``gain - 1``: the toy's shared encoder multiplies by ``gain``."""
    a = np.full((1, rank), gain - 1, np.float32)
    return {"gain.lora_a": a, "gain.lora_b": np.full((rank, 1), 1 / rank, np.float32)}


def write_toy_shared_package(folder, *, gains=None, factors=None, configs=None, entries=None):
    """Write a package of adapters over one toy encoder.

    ``gains`` gives each adapter's gain; ``factors`` replaces the bytes of its file, ``configs`` its
    config, ``entries`` fields of its entry.
    """
    gains = gains or {"dark": 0.5, "bright": 2.0}
    folder.mkdir(parents=True)
    content = {"onnx/encoder.onnx": ((TOY_GRAPHS / "shared_encoder.onnx").read_bytes(), "encoder",
                                     "")}  # fmt: skip
    adapters = []
    for rank, (name, gain) in enumerate(gains.items(), start=1):
        config = (configs or {}).get(name, make_toy_config())
        config = dataclasses.replace(config, weights_digest=f"sha256:{name}")
        adapters.append(AdapterEntry(name=name, model=config, **(entries or {}).get(name, {})))
        data = (factors or {}).get(name) or factor_file(folder, toy_factors(gain, rank))
        content[f"adapters/{name}/lora.onnx_adapter"] = data, "lora_factors", name
        for role in ("mask_decoder", "ais_decoder"):
            graph = (TOY_GRAPHS / f"{role}.onnx").read_bytes()
            content[f"adapters/{name}/{role}.onnx"] = graph, role, name
    files = []
    for path, (data, role, adapter) in content.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        files.append(
            FileEntry(path=path, size=len(data), sha256=digest, role=role, adapter=adapter)
        )
    Manifest(
        name="toys", model=make_toy_config(ais=False), files=tuple(files), adapters=tuple(adapters)
    ).write(folder)
    return folder


def write_toy_adapter_alone(folder, shared, name):
    """Write a package of one adapter of ``shared``, whose encoder it needs; returns its folder."""
    manifest = Manifest.read(shared)
    kept = tuple(entry for entry in manifest.files if entry.adapter == name)
    for entry in kept:
        (folder / entry.path).parent.mkdir(parents=True, exist_ok=True)
        (folder / entry.path).write_bytes((shared / entry.path).read_bytes())
    encoder = manifest.graph("encoder")
    assert encoder is not None
    source = EncoderSource(name=manifest.name, reference=manifest.name, sha256=encoder.sha256)
    dataclasses.replace(
        manifest, name=folder.name, files=kept, encoder_from=source,
        adapters=tuple(entry for entry in manifest.adapters if entry.name == name),
    ).write(folder)  # fmt: skip
    return folder


def draw_discs(shape, centers, radius=5.0, dtype=np.uint8, high=255):
    """Bright discs with (row, column) centers on a dark ground."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    image = np.zeros(shape, dtype)
    for row, column in centers:
        image[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = high
    return image


@pytest.fixture(scope="session")
def repository():
    """The folder of the code; skips where only the installed package and the tests are there."""
    root = Path(__file__).resolve().parents[1]
    if not (root / "runtime").is_dir():
        pytest.skip("reads the repository's code")
    return root


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def toy_config():
    """Make the toy model's config with some numbers changed."""
    return make_toy_config


@pytest.fixture
def toy_networks():
    return ToyNetworks()


@pytest.fixture
def toy_model(toy_networks):
    return Model(make_toy_config(), toy_networks)


@pytest.fixture
def leaning_model():
    """Make the toy model with maps that depend on the tile: ``leaning_model(config)``."""
    return lambda config=None: Model(config or make_toy_config(), LeaningNetworks())


@pytest.fixture
def toy_package(tmp_path):
    return write_toy_package(tmp_path / "toy-package")


@pytest.fixture
def make_package():
    """Write a toy package with some things changed: ``make_package(folder, ...)``."""
    return write_toy_package


@pytest.fixture
def make_shared_package():
    """Write a package of toy adapters: ``make_shared_package(folder, gains=..., ...)``."""
    return write_toy_shared_package


@pytest.fixture
def make_factor_file(tmp_path):
    """The bytes of an ``.onnx_adapter`` file: ``make_factor_file({"gain.lora_a": ..., ...})``."""
    return lambda factors: factor_file(tmp_path, factors)


@pytest.fixture
def discs():
    return draw_discs
