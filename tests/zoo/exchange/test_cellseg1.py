"""CellSeg1's dictionaries, against a network that adds their LoRA layer by layer, and its bases."""

from typing import Any

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import FormatError, InputError
from samzoo.runtime.formats.adapter import read_adapter
from samzoo.runtime.formats.files import write_tensors
from samzoo.runtime.formats.folders import read_model_folder
from samzoo.zoo.checkpoints.resizing import interpolated, resize_base
from samzoo.zoo.exchange.reading import read_foreign_adapter

TOLERANCE = 1e-5
"""Relative, issue 3; float32 sums in another order."""

SIZE = tiny.IMAGE_SIZE
RANK = 4
ATTENTION = {
    "sa": ("self_attn", 256),
    "cti": ("cross_attn_token_to_image", 128),
    "cit": ("cross_attn_image_to_token", 128),
}


def dictionary(base):
    """A dictionary of CellSeg1's layout with seeded values: two blocks, one decoder layer."""
    shapes = {}
    for index in range(4):  # q, v of block 0, then of block 1
        shapes[f"w_a_{index:03d}"] = (RANK, 16)
        shapes[f"w_b_{index:03d}"] = (16, RANK)
    for kind, (_, inner) in ATTENTION.items():
        for index in range(2):
            shapes[f"{kind}_a_{index:03d}"] = (RANK, 256)
            shapes[f"{kind}_b_{index:03d}"] = (inner, RANK)
    for matrix in "qv":
        shapes[f"fati_{matrix}a"], shapes[f"fati_{matrix}b"] = (RANK, 256), (128, RANK)
    factors = {n: 0.3 * v for n, v in tiny.seeded_weights(shapes, seed=2).items()}
    _, tensors = read_model_folder(base)
    decoders = {
        name: value * np.float32(1.5)
        for name, value in tensors.items()
        if name.startswith(("prompt_encoder.", "mask_decoder.")) and "transformer" not in name
    }
    return {**factors, **decoders}


@pytest.fixture
def read(seeded_base, tmp_path):
    def run(*, base=seeded_base, image_size=SIZE, **changes):
        tensors = {**dictionary(seeded_base), **changes}
        path = tmp_path / "cells.safetensors"
        write_tensors(path, {n: v for n, v in tensors.items() if v is not None}, {})
        return read_foreign_adapter(path, tmp_path / "adapter", base=base, image_size=image_size)

    return run


def with_hooks(sam, tensors):
    """Add each LoRA to the output of its layer, as CellSeg1's modules do in eval mode."""
    import torch

    def add(layer, columns, a, b):
        def hook(_, inputs, output):
            output = output.clone()
            output[..., columns] += inputs[0] @ torch.from_numpy(a).T @ torch.from_numpy(b).T
            return output

        layer.register_forward_hook(hook)

    for block in range(2):
        for index, columns in enumerate((slice(0, 16), slice(32, 48))):
            count = f"{2 * block + index:03d}"
            layer = sam.image_encoder.blocks[block].attn.qkv
            add(layer, columns, tensors[f"w_a_{count}"], tensors[f"w_b_{count}"])
    transformer = sam.mask_decoder.transformer
    for kind, (name, _) in ATTENTION.items():
        attention = getattr(transformer.layers[0], name)
        for index, matrix in enumerate("qv"):
            a, b = tensors[f"{kind}_a_{index:03d}"], tensors[f"{kind}_b_{index:03d}"]
            add(getattr(attention, f"{matrix}_proj"), slice(None), a, b)
    for matrix in "qv":
        layer = getattr(transformer.final_attn_token_to_image, f"{matrix}_proj")
        add(layer, slice(None), tensors[f"fati_{matrix}a"], tensors[f"fati_{matrix}b"])
    state = sam.state_dict()
    plain = {n: torch.from_numpy(v) for n, v in tensors.items() if n in state}
    sam.load_state_dict({**state, **plain})
    return sam


def test_outputs_equal_a_network_that_adds_each_lora(read, seeded_base, tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("segment_anything")
    from samzoo.training.networks.sam import load_sam
    from samzoo.zoo.merging.folding import merge

    config = read()
    assert config.method == "lora"
    assert config.hyperparameters["rank"] == RANK
    assert config.hyperparameters["matrices"] == ["q", "v"]
    assert f"{SIZE} pixels were used" in config.source["notes"][0]
    merge(tmp_path / "adapter", tmp_path / "model", base=seeded_base)
    theirs = with_hooks(tiny.make_original(load_sam(seeded_base)), dictionary(seeded_base))
    ours = load_sam(tmp_path / "model")
    image = torch.from_numpy(tiny.seeded_weights({"image": (1, 3, SIZE, SIZE)})["image"])
    points = (torch.tensor([[[20.0, 30.0]]]), torch.tensor([[1]]))
    with torch.no_grad():
        expected = theirs.image_encoder(image)
        found = ours.image_encoder(image)
        assert_close(found, expected)
        sparse, dense = theirs.prompt_encoder(points=points, boxes=None, masks=None)
        masks, _ = theirs.mask_decoder(
            image_embeddings=expected, image_pe=theirs.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse, dense_prompt_embeddings=dense,
            multimask_output=True,
        )  # fmt: skip
        logits, _ = ours.decode(found, points=points, multimask_output=True)
    assert_close(logits, masks)


def assert_close(found, expected):
    assert float((found - expected).abs().max()) <= TOLERANCE * float(expected.abs().max())


def test_a_file_without_encoder_lora_freezes_the_encoder(read, tmp_path):
    config = read(**{f"w_{f}_{i:03d}": None for f in "ab" for i in range(4)})
    assert config.method == "freeze_encoder"
    _, tensors = read_adapter(tmp_path / "adapter")
    assert not any(name.startswith("image_encoder.") for name in tensors)


ONES = np.ones((RANK, 16), np.float32)
BROKEN: dict[str, tuple[Any, ...]] = {
    "missing layer": ({"w_a_003": None}, r"found 3 tensors w_a_\*, expected 4"),
    "extra layer": ({"w_a_004": ONES}, r"found 5 tensors w_a_\*, expected 4"),
    "gap": ({"w_a_003": None, "w_a_007": ONES}, r"found 4 tensors w_a_\*, expected 4"),
    "all of B": ({f"w_b_{i:03d}": None for i in range(4)}, "lacks the factor B of image_encoder"),
    "missing final": ({"fati_vb": None}, "lacks the factor B of .*final_attn_token_to_image.v"),
    "unknown": ({"mem_attn_a_000": ONES}, "'mem_attn_a_000' is not one of CellSeg1's"),
    "rank": ({"w_a_000": ONES[:3], "w_b_000": ONES[:3].T}, "found ranks of 3, 4"),
    "one axis": ({"w_a_000": ONES[0]}, r"expected two axes, found \(16,\)"),
    "shape": ({"sa_b_000": ONES}, r"do not fit the weight \(256, 256\) of mask_decoder"),
    "encoder shape": ({"w_b_000": ONES}, r"lora_b\.q.*expected shape \(16, 4\)"),
    "nan": ({"w_a_000": ONES * np.nan}, "'w_a_000' holds NaN"),
    "missing decoder": ({"mask_decoder.iou_token.weight": None}, r"lacks 'mask_decoder\.iou_tok"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_gives_one_clear_error_and_writes_nothing(read, tmp_path, kind):
    changes, message = BROKEN[kind]
    with pytest.raises(FormatError, match=message) as caught:
        read(**changes)
    assert "cells.safetensors" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["cells.safetensors"]


def test_a_base_of_another_size_is_refused_with_the_command_that_resizes(read):
    with pytest.raises(InputError, match=r"trained at 512 pixels.*--image-size 512 -o OUT"):
        read(image_size=None)


def test_a_resized_base_interpolates_as_torch_does(seeded_base, tmp_path):
    torch = pytest.importorskip("torch")
    config = resize_base(seeded_base, tmp_path / "small", image_size=40)
    found_config, found = read_model_folder(tmp_path / "small")
    assert found_config == config
    assert (config.image_size, config.grid) == (40, 5)
    before_config, before = read_model_folder(seeded_base)
    assert config.source["resized_from"]["base_digest"] == before_config.weights_digest
    changed = {name for name, value in before.items() if not np.array_equal(found[name], value)}
    assert changed == {
        "image_encoder.pos_embed",
        "image_encoder.blocks.1.attn.rel_pos_h",
        "image_encoder.blocks.1.attn.rel_pos_w",
    }
    positions = torch.from_numpy(before["image_encoder.pos_embed"]).permute(0, 3, 1, 2)
    expected = torch.nn.functional.interpolate(positions, (5, 5), mode="bilinear",
                                               align_corners=True)  # fmt: skip
    np.testing.assert_allclose(
        found["image_encoder.pos_embed"], expected.permute(0, 2, 3, 1).numpy(), atol=1e-6
    )
    relative = torch.from_numpy(before["image_encoder.blocks.1.attn.rel_pos_h"])
    expected = torch.nn.functional.interpolate(
        relative[None, None], (9, relative.shape[1]), mode="bilinear", align_corners=True
    )
    np.testing.assert_allclose(
        found["image_encoder.blocks.1.attn.rel_pos_h"], expected[0, 0].numpy(), atol=1e-6
    )


def test_a_resized_base_runs(seeded_base, tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("segment_anything")
    from samzoo.training.networks.sam import load_sam

    resize_base(seeded_base, tmp_path / "large", image_size=96)
    with torch.no_grad():
        assert load_sam(tmp_path / "large").embed(torch.rand(1, 3, 96, 96)).shape[-1] == 12


@pytest.mark.parametrize(("size", "message"), [(60, "a multiple of 8, found 60"), (8000, "8000"),
                                               (0, "image size"), (-8, "image size")])  # fmt: skip
def test_an_impossible_size_is_refused(seeded_base, tmp_path, size, message):
    with pytest.raises(InputError, match=message):
        resize_base(seeded_base, tmp_path / "out", image_size=size)
    assert not (tmp_path / "out").exists()


def test_interpolation_to_the_same_size_changes_nothing(rng):
    values = rng.standard_normal((3, 7)).astype(np.float32)
    np.testing.assert_array_equal(interpolated(values, 7, axis=1), values)


def test_a_pytorch_file_with_parameters_is_read(seeded_base, tmp_path):
    torch = pytest.importorskip("torch")
    state = {n: torch.nn.Parameter(torch.from_numpy(v)) for n, v in dictionary(seeded_base).items()}
    torch.save(state, tmp_path / "cells.pth")
    config = read_foreign_adapter(
        tmp_path / "cells.pth", tmp_path / "adapter", base=seeded_base, image_size=SIZE
    )
    assert config.source["exchanged_from"] == "cellseg1"
    assert config.source["adapter_file"] == "cells.pth"


def samed(base, *, tokens=4):
    """A dictionary as SAMed writes it: LoRA of the encoder, the two decoding networks whole."""
    factors = {n: v for n, v in dictionary(base).items() if n.startswith("w_")}
    _, tensors = read_model_folder(base)
    decoders = {
        name: value * np.float32(1.5)
        for name, value in tensors.items()
        if name.startswith(("prompt_encoder.", "mask_decoder."))
    }
    decoders["mask_decoder.mask_tokens.weight"] = np.ones((tokens, 256), np.float32)
    return {**factors, **decoders}


@pytest.mark.parametrize("wrapper", ["", "module."])
def test_a_file_of_samed_is_read_with_its_whole_mask_decoder(wrapper, seeded_base, tmp_path):
    tensors = samed(seeded_base)
    path = tmp_path / "samed.safetensors"
    write_tensors(path, {f"{wrapper}{n}": v for n, v in tensors.items()}, {})
    config = read_foreign_adapter(path, tmp_path / "a", base=seeded_base, image_size=SIZE)
    assert config.source["exchanged_from"] == "samed"
    assert "outputs are classes" in config.source["notes"][1]
    assert config.preprocessing.pixel_mean == (0.0, 0.0, 0.0)
    assert config.preprocessing.pixel_std == (255.0, 255.0, 255.0)
    found = read_adapter(tmp_path / "a")[1]
    name = "mask_decoder.transformer.layers.0.self_attn.q_proj.weight"
    np.testing.assert_array_equal(found[name], tensors[name])
    factor = "image_encoder.blocks.1.attn.qkv.lora_a.v"
    np.testing.assert_array_equal(found[factor], tensors["w_a_003"])


def test_a_file_of_samed_with_other_classes_is_refused(seeded_base, tmp_path):
    path = tmp_path / "samed.safetensors"
    write_tensors(path, samed(seeded_base, tokens=9), {})
    with pytest.raises(InputError, match=r"a LoRA of SAMed with 8 classes.* SAM has 3 masks"):
        read_foreign_adapter(path, tmp_path / "a", base=seeded_base, image_size=SIZE)
    assert not (tmp_path / "a").exists()
