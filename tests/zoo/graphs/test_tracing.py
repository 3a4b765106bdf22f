"""The exported graphs against the same model in torch, and against what annotation tools expect."""

import logging

import numpy as np
import pytest

from samzoo.runtime.engine.graph_contract import INPUTS, MULTIMASK_INPUT, OUTPUTS
from samzoo.runtime.formats.config import Preprocessing
from samzoo.runtime.formats.manifest import AIS_DECODER, ENCODER, MASK_DECODER

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("segment_anything")
graphs_module = pytest.importorskip("samzoo.training.networks.graphs")
onnx_export = pytest.importorskip("samzoo.zoo.graphs.tracing")
AisGraph, EncoderGraph = graphs_module.AisGraph, graphs_module.EncoderGraph
MaskDecoderGraph = graphs_module.MaskDecoderGraph
OPSET, export_graphs = onnx_export.OPSET, onnx_export.export_graphs

pytestmark = [pytest.mark.torch, pytest.mark.onnx]

PARITY = 1e-4
"""Largest difference over largest value: issue 2, "Must show"; 1e-6 to 1e-5 is measured."""

KINDS = ["vit", "tiny_vit"]
GRIDS = {"vit": 8, "tiny_vit": 16}
SIZES = {
    "landscape": (43, 64), "portrait": (64, 43), "square": (64, 64), "small": (20, 30),
    "one pixel": (1, 1),
}  # fmt: skip


@pytest.fixture(scope="module")
def sams(tiny_sam):
    gamma = Preprocessing(gamma=0.7, pixel_mean=(0, 0, 0), pixel_std=(255, 255, 255))
    return {"vit": tiny_sam("vit"), "tiny_vit": tiny_sam("tiny_vit", preprocessing=gamma)}


@pytest.fixture(scope="module")
def graphs(sams):
    metadata = {"samzoo.name": "tiny"}
    return {
        kind: export_graphs(sam, precision="fp32", metadata=metadata) for kind, sam in sams.items()
    }


@pytest.fixture(scope="module")
def sessions(graphs):
    return {
        (kind, role): onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        for kind, roles in graphs.items()
        for role, data in roles.items()
    }


def assert_parity(found, expected):
    expected = expected.detach().numpy()
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= PARITY * np.abs(expected).max()


def feed(kind, n, prompt, *, masks=0, size=(43, 64), has=None, seed=1):
    rng = np.random.default_rng(seed)
    side = 4 * GRIDS[kind]
    labels = {
        "point": [[1, -1]], "points": [[1, 0, 1, -1]], "box": [[2, 3]], "mixed": [[1, 0, 2, 3]],
        "padded": [[1, -1, -1, -1]],
    }[prompt]  # fmt: skip
    return {
        "image_embeddings": rng.standard_normal((1, 256, GRIDS[kind], GRIDS[kind])),
        "point_coords": rng.random((n, len(labels[0]), 2)) * 40,
        "point_labels": np.repeat(labels, n, axis=0),
        "mask_input": rng.standard_normal((max(masks, 1), 1, side, side)) * 5,
        "has_mask_input": [float(masks > 0) if has is None else has],
        "orig_im_size": size,
    }


def run(session, inputs):
    return session.run(None, {k: np.asarray(v, np.float32) for k, v in inputs.items()})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_encoder_equals_torch(sams, sessions, kind, size):
    image = np.random.default_rng(0).random((*size, 3), np.float32) * 255
    (found,) = run(sessions[kind, ENCODER], {"input_image": image})
    with torch.no_grad():
        expected = EncoderGraph(sams[kind])(torch.from_numpy(image))
    assert found.shape == (1, 256, GRIDS[kind], GRIDS[kind])
    assert_parity(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_ais_decoder_equals_torch(sams, sessions, kind):
    embeddings = feed(kind, 1, "point")["image_embeddings"].astype(np.float32)
    (found,) = run(sessions[kind, AIS_DECODER], {"image_embeddings": embeddings})
    with torch.no_grad():
        expected = AisGraph(sams[kind])(torch.from_numpy(embeddings))
    assert found.shape == (1, 3, 4 * GRIDS[kind], 4 * GRIDS[kind])
    assert_parity(found, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prompt", ["point", "points", "box", "mixed"])
@pytest.mark.parametrize(("n", "masks"), [(1, 0), (2, 0), (3, 0), (1, 1), (3, 3), (3, 1)])
def test_mask_decoder_equals_torch(sams, sessions, kind, prompt, n, masks):
    inputs = feed(kind, n, prompt, masks=masks)
    found = run(sessions[kind, MASK_DECODER], inputs)
    with torch.no_grad():
        expected = MaskDecoderGraph(sams[kind])(
            *(torch.tensor(np.asarray(inputs[name], np.float32)) for name in INPUTS[MASK_DECODER])
        )
    side = 4 * GRIDS[kind]
    assert [value.shape for value in found] == [(n, 1, 43, 64), (n, 1), (n, 1, side, side)]
    for ours, theirs in zip(found, expected, strict=True):
        assert_parity(ours, theirs)


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (64, 64), (20, 31), (1, 77)])
def test_masks_get_the_original_size_without_the_padding(sams, sessions, size):
    from segment_anything.modeling import Sam

    from samzoo.runtime.images.geometry import input_size

    masks, _, low = run(sessions["vit", MASK_DECODER], feed("vit", 2, "box", size=size))
    rows, columns = input_size(size, 64, None)
    upscaled = torch.nn.functional.interpolate(
        torch.from_numpy(low), (64, 64), mode="bilinear", align_corners=False
    )
    expected = torch.nn.functional.interpolate(
        upscaled[..., :rows, :columns], size, mode="bilinear", align_corners=False
    )
    assert_parity(masks, expected)
    assert Sam.mask_threshold == 0.0


def test_many_objects_at_once_equal_each_alone(sessions):
    together = feed("vit", 3, "points", masks=3)
    all_masks = run(sessions["vit", MASK_DECODER], together)
    for i in range(3):
        alone = {
            name: value if name.startswith(("image", "orig", "has")) else value[i : i + 1]
            for name, value in together.items()
        }
        for one, many in zip(run(sessions["vit", MASK_DECODER], alone), all_masks, strict=True):
            assert_parity(one, torch.from_numpy(many[i : i + 1]))


@pytest.mark.parametrize("has", [-1.0, -0.5])
def test_has_mask_input_below_zero_is_no_mask_input(sessions, has):
    """Osam and labelme send -1; segment-anything's own graph gives garbage for it."""
    session = sessions["vit", MASK_DECODER]
    without = run(session, feed("vit", 1, "point", has=0.0))
    np.testing.assert_array_equal(run(session, feed("vit", 1, "point", has=has))[0], without[0])
    with_mask = run(session, feed("vit", 1, "point", has=1.0))
    assert np.abs(with_mask[0] - without[0]).max() > 0.01
    np.testing.assert_array_equal(run(session, feed("vit", 1, "point", has=5.0))[0], with_mask[0])


def all_outputs(sam, inputs):
    """Logits and IoU of all four mask tokens, from segment-anything's own mask decoder."""
    coords, labels = torch.tensor(inputs["point_coords"]), torch.tensor(inputs["point_labels"])
    graph = MaskDecoderGraph(sam)
    sparse = graph._embed_points(coords.float(), labels.float())
    dense = sam.prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(
        len(coords), -1, GRIDS["vit"], GRIDS["vit"]
    )
    with torch.no_grad():
        return sam.mask_decoder.predict_masks(
            image_embeddings=torch.tensor(inputs["image_embeddings"]).float(),
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
        )


@pytest.mark.parametrize("prompt", ["point", "padded", "points", "box", "mixed"])
def test_a_single_point_gets_its_best_mask_and_clear_prompts_the_first(sams, sessions, prompt):
    chosen = set()
    for seed in range(6):
        inputs = feed("vit", 3, prompt, seed=seed)
        _, iou, low = run(sessions["vit", MASK_DECODER], inputs)
        logits, scores = all_outputs(sams["vit"], inputs)
        best = scores[:, 1:].argmax(dim=1) + 1
        if prompt not in ("point", "padded"):
            best = torch.zeros_like(best)
        row = torch.arange(3)
        assert_parity(low[:, 0], logits[row, best])
        assert_parity(iou[:, 0], scores[row, best])
        chosen |= set(best.tolist())
    assert (chosen == {0}) == (prompt not in ("point", "padded"))


def test_a_model_of_one_kind_of_object_answers_a_point_with_the_first_mask(tiny_sam):
    sam = tiny_sam("vit", point_output="single")
    inputs = feed("vit", 2, "point")
    graph = export_graphs(sam, precision="fp32", metadata={})[MASK_DECODER]
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    _, iou, low = run(session, inputs)
    logits, scores = all_outputs(sam, inputs)
    assert_parity(low, logits[:, :1])
    assert_parity(iou, scores[:, :1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("role", [ENCODER, MASK_DECODER, AIS_DECODER])
def test_names_order_opset_and_domains_are_those_that_tools_read(graphs, kind, role):
    model = onnx.load_from_string(graphs[kind][role])
    onnx.checker.check_model(model, full_check=True)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    assert OPSET == 17
    assert model.ir_version <= 8
    assert {node.domain for node in model.graph.node} == {""}
    optional = {value.name for value in model.graph.initializer}
    required = [value.name for value in model.graph.input if value.name not in optional]
    assert tuple(required) == INPUTS[role]
    assert tuple(value.name for value in model.graph.output) == OUTPUTS[role]
    kinds = {value.type.tensor_type.elem_type for value in model.graph.input}
    assert kinds == {onnx.TensorProto.FLOAT}
    assert {prop.key: prop.value for prop in model.metadata_props} == {"samzoo.name": "tiny"}


@pytest.mark.parametrize("prompt", ["point", "points", "box", "mixed"])
@pytest.mark.parametrize("masks", [0, 3])
def test_multimask_output_can_be_asked_for(sams, sessions, prompt, masks):
    inputs = feed("vit", 3, prompt, masks=masks)
    session = sessions["vit", MASK_DECODER]
    arguments = [torch.tensor(np.asarray(inputs[n], np.float32)) for n in INPUTS[MASK_DECODER]]
    default = run(session, inputs)
    for value, outputs in ((1.0, 3), (-1.0, 1), (0.0, 1)):
        found = run(session, {**inputs, MULTIMASK_INPUT: [value]})
        assert [each.shape for each in found] == [
            (3, outputs, 43, 64), (3, outputs), (3, outputs, 32, 32)
        ]  # fmt: skip
        with torch.no_grad():
            expected = MaskDecoderGraph(sams["vit"])(*arguments, torch.tensor([value]))
        for ours, theirs in zip(found, expected, strict=True):
            assert_parity(ours, theirs)
        if not masks:
            logits, scores = all_outputs(sams["vit"], inputs)
            wanted = {1.0: slice(1, 4), -1.0: slice(0, 1)}.get(value)
            if wanted is not None:
                assert_parity(found[1], scores[:, wanted])
                assert_parity(found[2], logits[:, wanted])
        if value == 0:
            assert all(np.array_equal(a, b) for a, b in zip(found, default, strict=True))


def test_multimask_output_is_no_input_that_tools_see(sessions):
    for kind in KINDS:
        session = sessions[kind, MASK_DECODER]
        assert tuple(value.name for value in session.get_inputs()) == INPUTS[MASK_DECODER]
        (optional,) = session.get_overridable_initializers()
        assert (optional.name, optional.shape) == (MULTIMASK_INPUT, [1])


def test_the_mask_decoder_has_segment_anythings_names():
    assert INPUTS[MASK_DECODER] == (
        "image_embeddings", "point_coords", "point_labels", "mask_input", "has_mask_input",
        "orig_im_size",
    )  # fmt: skip
    assert OUTPUTS[MASK_DECODER] == ("masks", "iou_predictions", "low_res_masks")


def test_the_encoder_takes_rank_3_images_of_any_size(graphs):
    (image,) = onnx.load_from_string(graphs["vit"][ENCODER]).graph.input
    height, width, channels = image.type.tensor_type.shape.dim
    assert (height.dim_param, width.dim_param, channels.dim_value) == ("height", "width", 3)


HALF_TOLERANCE = 0.02
"""float16 keeps 11 bits; through two blocks of random weights the error grows to below 1 %."""


def test_a_piece_of_attention_is_few_nodes(monkeypatch, tiny_sam):
    """Sizes are constants of the graph, and one node cuts a tensor into all of its pieces: slices
    at traced sizes made 23231 nodes of a ViT-B, of which 4169 are left."""
    from samzoo.training.encoders import vit_graph

    sizes = []
    for scores in (64, 1024):
        monkeypatch.setattr(vit_graph, "SCORES_AT_ONCE", scores)
        graphs = export_graphs(tiny_sam("vit"), precision="fp32", metadata={}, roles=[ENCODER])
        kinds = [node.op_type for node in onnx.load_from_string(graphs[ENCODER]).graph.node]
        sizes.append((len(kinds), kinds.count("Softmax")))
    (many, pieces), (few, fewer) = sizes
    assert pieces > fewer + 10
    assert many - few < 15 * (pieces - fewer)


@pytest.mark.parametrize("kind", KINDS)
def test_half_storage_halves_the_files_and_keeps_the_arithmetic(sams, graphs, sessions, kind):
    halves = export_graphs(sams[kind], precision="fp16", metadata={"samzoo.name": "tiny"})
    for role in (ENCODER, MASK_DECODER):
        assert len(halves[role]) < 0.62 * len(graphs[kind][role])  # node names and norms stay
    image = np.random.default_rng(0).random((43, 64, 3), np.float32) * 255
    session = onnxruntime.InferenceSession(halves[ENCODER], providers=["CPUExecutionProvider"])
    (found,) = run(session, {"input_image": image})
    (expected,) = run(sessions[kind, ENCODER], {"input_image": image})
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= HALF_TOLERANCE * np.abs(expected).max()


def test_weights_that_half_cannot_hold_stay_float32(tiny_sam):
    sam = tiny_sam("vit")
    with torch.no_grad():
        sam.image_encoder.neck[2].weight[0, 0, 0, 0] = 1e6
    graph = export_graphs(sam, precision="fp16", metadata={})[ENCODER]
    arrays = [onnx.numpy_helper.to_array(t) for t in onnx.load_from_string(graph).graph.initializer]
    assert max(float(np.abs(array).max()) for array in arrays if array.size) == 1e6


def test_a_model_without_ais_decoder_has_two_graphs(tiny_sam):
    sam = tiny_sam("vit")
    sam.ais_decoder = None
    assert set(export_graphs(sam, precision="fp32", metadata={})) == {ENCODER, MASK_DECODER}


INT8 = 0.04
"""Relative distance of embeddings with linear layers of 8 bits; up to 0.023 was found."""


@pytest.mark.parametrize("kind", KINDS)
def test_int8_rounds_the_encoders_linear_layers_and_nothing_else(sams, kind):
    graphs = export_graphs(sams[kind], precision="int8", metadata={"samzoo.name": "tiny"})
    halves = export_graphs(sams[kind], precision="fp16", metadata={"samzoo.name": "tiny"})
    operators = {role: {n.op_type for n in onnx.load_from_string(graph).graph.node}
                 for role, graph in graphs.items()}  # fmt: skip
    assert "MatMulInteger" in operators[ENCODER]
    assert "MatMulInteger" not in operators[MASK_DECODER] | operators[AIS_DECODER]
    model = onnx.load_from_string(graphs[ENCODER])
    assert {(opset.domain, opset.version) for opset in model.opset_import} == {("", 17)}
    image = np.random.default_rng(0).uniform(0, 255, (50, 64, 3)).astype(np.float32)
    found, expected = (
        run(
            onnxruntime.InferenceSession(files[ENCODER], providers=["CPUExecutionProvider"]),
            {"input_image": image},
        )[0]
        for files in (graphs, halves)
    )
    distance = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    assert 0 < distance < INT8


def test_rounding_leaves_the_root_logger_alone(sams, caplog):
    handlers = list(logging.getLogger().handlers)
    export_graphs(sams["vit"], precision="int8", metadata={})
    assert logging.getLogger().handlers == handlers
    assert not caplog.records
