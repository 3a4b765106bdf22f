"""Every family of encoders: numbers to shapes and back, and what a new row needs."""

import ast
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pytest

from samzoo.runtime.errors import FormatError, InputError
from samzoo.runtime.formats.architecture import Architecture
from samzoo.runtime.formats.families import table
from samzoo.runtime.formats.families.encoder import AdaptFormerConfig, EncoderConfig
from samzoo.runtime.formats.families.family import Family
from samzoo.runtime.formats.families.layer_shapes import layer
from samzoo.runtime.formats.families.shape_reading import ratio_of
from samzoo.runtime.formats.families.tiny_vit import STRIDE_1_CHANNELS, TINY_VIT_GRID, TinyVitConfig
from samzoo.runtime.formats.families.vit import VitConfig, vit_of
from samzoo.runtime.formats.fields import from_json, to_json
from samzoo.runtime.formats.shapes import tensor_shapes
from samzoo.training.methods.blocks import block_names, chosen_names
from samzoo.training.methods.layers import linear_layers, matrix_rows
from samzoo.zoo.checkpoints.detection import architecture_of, preprocessing_of

ROOT = Path(__file__).resolve().parents[4]


def random_vit(rng):
    """Any legal ViT whose windows are smaller than its grid."""
    patch, grid, depth = (int(rng.integers(low, high)) for low, high in ((1, 33), (2, 65), (1, 33)))
    heads = int(rng.integers(1, 17))
    dim = heads * int(rng.integers(1, 81))
    chosen = tuple(block for block in range(depth) if rng.random() < 0.3)
    return VitConfig(
        image_size=grid * patch,
        patch_size=patch,
        embed_dim=dim,
        depth=depth,
        num_heads=heads,
        mlp_ratio=ratio_of(int(rng.integers(1, 8 * dim)), dim),
        # If all blocks attend globally, the shapes show no window.
        window_size=int(rng.integers(1, grid)) if len(chosen) < depth else VitConfig.window_size,
        global_attn_indexes=chosen,
    )


def random_tiny_vit(rng):
    """Any legal TinyViT with published strides and size, which its shapes do not show."""
    stages = int(rng.integers(2, 6))
    heads = [TinyVitConfig.num_heads[0], *(int(n) for n in rng.integers(1, 13, stages - 1))]
    dims = [2 * int(rng.integers(1, 60))]
    dims += [n * int(rng.integers(1, 50)) for n in heads[1:]]
    if rng.random() < 0.5:
        heads[-1], dims[-1] = 2, int(rng.choice(STRIDE_1_CHANNELS))
    strides = tuple(1 if dim in STRIDE_1_CHANNELS else 2 for dim in dims[1:])
    stride = int(rng.integers(1, 3))
    windows = [TinyVitConfig.window_sizes[0], *(int(n) for n in rng.integers(1, 33, stages - 1))]
    return TinyVitConfig(
        image_size=TINY_VIT_GRID * stride**2 * int(np.prod(strides)),
        patch_kernel=2 * stride - 1,
        patch_stride=stride,
        embed_dims=tuple(dims),
        depths=tuple(int(n) for n in rng.integers(1, 7, stages)),
        num_heads=tuple(heads),
        window_sizes=tuple(windows),
        strides=strides,
        mlp_ratio=ratio_of(int(rng.integers(1, 6 * dims[1])), dims[1]),
        mbconv_expand_ratio=ratio_of(int(rng.integers(1, 6 * dims[0])), dims[0]),
    )


NUMBERS = {VitConfig: random_vit, TinyVitConfig: random_tiny_vit}
"""For each family, how to draw legal numbers that its shapes show."""


def tensors_of(architecture):
    shapes = tensor_shapes(architecture)
    return {name: SimpleNamespace(shape=shape) for name, shape in shapes.items()}


def test_every_family_has_numbers_to_draw():
    assert set(NUMBERS) == set(table.config_classes())


@pytest.mark.parametrize("kind", NUMBERS, ids=lambda kind: kind.type)
def test_numbers_come_back_from_their_shapes(kind):
    rng = np.random.default_rng(5)
    for _ in range(200):
        architecture = Architecture(image_encoder=NUMBERS[kind](rng))
        assert architecture_of(tensors_of(architecture)) == architecture


@pytest.mark.parametrize("kind", NUMBERS, ids=lambda kind: kind.type)
def test_rows_hold_together(kind):
    """The names of a row are those of its tensors, and no other row answers to them."""
    rng = np.random.default_rng(6)
    for _ in range(20):
        config = NUMBERS[kind](rng)
        family = table.family_of(config)
        shapes = family.shapes(config)
        assert [row for row in table.FAMILIES if any(n.startswith(row.mark) for n in shapes)] == [
            family
        ]
        for block in family.block_names(config):
            for key, name in family.layers.items():
                assert len(shapes[f"{block}.{name}.weight"]) == (1 if "norm" in key else 2)
            rows = shapes[f"{block}.{family.layers['qkv']}.weight"][0]
            assert rows % (3 * family.qkv_groups(config, f"{block}.qkv")) == 0
        assert family.size(config) in ("", *family.sizes)
        assert all(name.startswith(family.unused_marks) for name in family.unused(config))


@pytest.mark.parametrize("kind", NUMBERS, ids=lambda kind: kind.type)
def test_bottlenecks_are_added_to_the_chosen_blocks(kind):
    config = kind().replaced(adaptformer=AdaptFormerConfig(projection=5, blocks=(0, 3)))
    family = table.family_of(config)
    added = set(family.shapes(config)) - set(family.shapes(kind()))
    blocks = family.block_names(config)
    assert {name.partition(".mlp.")[0] for name in added} == {blocks[0], blocks[3]}
    assert len(added) == 2 * 5


def test_only_sams_vit_is_one():
    assert vit_of(VitConfig(depth=1)) == VitConfig(depth=1)
    assert vit_of(TinyVitConfig()) is None


@dataclass(frozen=True, kw_only=True)
class MixerConfig(EncoderConfig):
    """A third family, which only this test has."""

    type: Literal["mixer"] = "mixer"
    image_size: int = 256
    width: int = 12
    depth: int = 2
    adaptformer: AdaptFormerConfig | None = None

    @property
    def grid(self):
        return self.image_size // 16

    @property
    def channels(self):
        return self.width


def mixer_shapes(config):
    shapes = {}
    for step in range(config.depth):
        for name, rows in (("qkv", 3), ("proj", 1), ("lin1", 2), ("lin2", 1)):
            shapes.update(layer(f"steps.{step}.{name}", rows * config.width, config.width))
    return shapes


def detect_mixer(shapes):
    width = shapes.of("image_encoder.steps.0.proj.weight", None, None)[0]
    return MixerConfig(width=width, depth=shapes.count("image_encoder.steps."))


MIXER = Family(
    config=MixerConfig,
    noun="Mixer",
    known_from="nobody",
    mark="steps.",
    shapes=mixer_shapes,
    detect=detect_mixer,
    block_names=lambda config: [f"steps.{step}" for step in range(config.depth)],
    layers={name: name for name in ("norm1", "qkv", "proj", "norm2", "lin1", "lin2")},
    qkv_groups=lambda config, layer: 2,
    sizes=(),
    size=lambda config: "",
    unit_range=lambda config: True,
    unused=lambda config: {},
)


@pytest.fixture
def mixer(monkeypatch):
    monkeypatch.setattr(table, "FAMILIES", [*table.FAMILIES, MIXER])
    monkeypatch.setattr("samzoo.zoo.checkpoints.detection.FAMILIES", table.FAMILIES)
    return Architecture(image_encoder=MixerConfig(width=6, depth=3))


def test_new_row_is_read_from_json(mixer):
    assert from_json(Architecture, to_json(mixer), where="config.json") == mixer


def test_new_row_is_found_in_weights(mixer):
    tensors = tensors_of(mixer)
    assert tensors["image_encoder.neck.0.weight"].shape == (256, 6, 1, 1)
    assert architecture_of(tensors) == mixer
    assert preprocessing_of(mixer).intensity == "percentile"


def test_new_row_stands_in_the_message_for_other_weights(mixer):
    with pytest.raises(FormatError, match=r"or a Mixer \(nobody: image_encoder\.steps\.\*\)"):
        architecture_of({})


def test_methods_find_the_layers_of_a_new_row(mixer):
    config = mixer.image_encoder
    assert block_names(config) == ["steps.0", "steps.1", "steps.2"]
    assert chosen_names(config, "late") == ["steps.2"]
    assert list(linear_layers(config, ["k", "proj"], (1,))) == [
        ("steps.1.qkv", ["k"]),
        ("steps.1.proj", ["proj"]),
    ]
    assert matrix_rows(config, "steps.1.qkv", "k", 12).tolist() == [2, 3, 8, 9]


def test_family_without_a_row_is_refused_everywhere():
    value = to_json(Architecture(image_encoder=MixerConfig()))
    with pytest.raises(FormatError, match=r"\.type: found 'mixer', allowed: vit, tiny"):
        from_json(Architecture, value, where="config.json")
    with pytest.raises(InputError, match=r"'MixerConfig', allowed are: VitConfig, TinyVitConfig"):
        table.family_of(MixerConfig())
    with pytest.raises(FormatError, match=r"ViT \(segment-anything.*TinyViT \(MobileSAM"):
        architecture_of({"image_encoder.steps.0.proj.weight": SimpleNamespace(shape=(6, 6))})


def classes_asked_for(text):
    """The names in the second argument of each ``isinstance``, ``type(x) is`` left out."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
            for inner in ast.walk(node.args[1]):
                if isinstance(inner, ast.Name | ast.Attribute):
                    yield inner.id if isinstance(inner, ast.Name) else inner.attr


def test_only_the_table_asks_for_a_family(repository):
    classes = {kind.__name__ for kind in table.config_classes()}
    found = {
        path.relative_to(repository).as_posix()
        for part in ("runtime", "training", "zoo", "benchmarks")
        for path in (repository / part).rglob("*.py")
        if classes & set(classes_asked_for(path.read_text(encoding="utf-8")))
    }
    assert found == {"runtime/formats/families/vit.py"}


def test_fields_of_a_family_have_defaults():
    """The properties of ``EncoderConfig`` would be taken for a default else."""
    for family in table.FAMILIES:
        for field in dataclasses.fields(family.config):
            assert not isinstance(field.default, property)
