"""Graphs that are not what they should be: one message, nothing on stderr, nothing read."""

import numpy as np
import pytest

from samzoo.runtime.engine import sessions
from samzoo.runtime.engine.sessions import OnnxNetworks
from samzoo.runtime.errors import FormatError, InputError

IMAGE = np.zeros((8, 8, 3), np.uint8)


@pytest.fixture
def graphs(toy_package):
    roles = ("encoder", "mask_decoder", "ais_decoder")
    return {role: (toy_package / "onnx" / f"{role}.onnx").read_bytes() for role in roles}


@pytest.fixture
def networks(toy_config):
    return lambda graphs, **options: OnnxNetworks(graphs.__getitem__, toy_config(), **options)


@pytest.mark.parametrize("garbage", [b"", b"garbage", b"\x08\x08" * 50, bytes(1000)])
def test_bytes_that_are_no_onnx_are_refused(networks, graphs, garbage, capfd):
    with pytest.raises(FormatError, match="the encoder graph: not an ONNX model"):
        networks({**graphs, "encoder": garbage}).encode(IMAGE)
    assert capfd.readouterr() == ("", "")


def test_a_truncated_graph_is_refused(networks, graphs):
    with pytest.raises(FormatError, match="the encoder graph"):
        networks({**graphs, "encoder": graphs["encoder"][:-50]}).encode(IMAGE)


def test_a_graph_of_another_role_is_refused_by_its_names(networks, graphs):
    swapped = {**graphs, "encoder": graphs["ais_decoder"]}
    with pytest.raises(
        FormatError,
        match=r"the encoder graph: inputs and outputs: found .*ais_maps.*, expected .*inp",
    ):
        networks(swapped).encode(IMAGE)


def test_a_graph_that_fails_while_running_is_a_format_error(networks, graphs, capfd):
    with pytest.raises(FormatError, match="the ais_decoder graph: failed while running"):
        networks(graphs).decode_ais(np.zeros((1, 3, 5, 5), np.float32))
    assert capfd.readouterr() == ("", "")


def test_a_session_is_made_once(graphs, toy_config):
    asked = []

    def read(role):
        asked.append(role)
        return graphs[role]

    model = OnnxNetworks(read, toy_config())
    model.encode(IMAGE)
    model.encode(IMAGE)
    assert asked == ["encoder"]


@pytest.mark.parametrize("shared", [True, False])
def test_sessions_share_a_pool_of_memory_or_keep_their_own(networks, graphs, monkeypatch, shared):
    joined: list[object] = []
    monkeypatch.setattr(sessions, "share_memory", joined.append)
    found = networks(graphs, shared_memory=shared).encode(IMAGE)
    assert len(joined) == shared
    np.testing.assert_array_equal(found, networks(graphs).encode(IMAGE))


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_must_be_positive(networks, graphs, threads):
    with pytest.raises(InputError, match=f"threads must be at least 1, got {threads}"):
        networks(graphs, threads=threads).encode(IMAGE)


@pytest.mark.onnx
def test_weights_beside_the_graph_are_not_read(networks, graphs, tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(graphs["encoder"])
    (full,) = (tensor for tensor in model.graph.initializer if tensor.name == "full")
    full.CopyFrom(onnx.TensorProto(name="full", data_type=1, data_location=1))
    for key, value in (("location", "weights.bin"), ("offset", "0"), ("length", "4")):
        entry = full.external_data.add()
        entry.key, entry.value = key, value
    (tmp_path / "weights.bin").write_bytes(np.float32(255).tobytes())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FormatError, match="the encoder graph: has weights in other files"):
        networks({"encoder": model.SerializeToString()}).encode(IMAGE)


ARGUMENTS = (
    np.zeros((1, 256, 16, 16), np.float32),
    np.zeros((2, 1, 2), np.float32),
    np.ones((2, 1), np.float32),
    None,
)


@pytest.mark.parametrize(("multimask", "outputs"), [(None, 1), (False, 1), (True, 3)])
def test_multimask_output_reaches_the_graph(networks, graphs, multimask, outputs):
    iou, low_res = networks(graphs).decode_prompts(*ARGUMENTS, multimask_output=multimask)
    assert (iou.shape, low_res.shape) == ((2, outputs), (2, outputs, 64, 64))


@pytest.mark.onnx
def test_an_older_mask_decoder_answers_prompts_but_no_multimask_output(networks, graphs):
    onnx = pytest.importorskip("onnx")
    older = onnx.load_from_string(graphs["mask_decoder"])
    (optional,) = (value for value in older.graph.input if value.name == "multimask_output")
    older.graph.input.remove(optional)  # a constant from now on
    model = networks({**graphs, "mask_decoder": older.SerializeToString()})
    iou, low_res = model.decode_prompts(*ARGUMENTS)
    assert (iou.shape, low_res.shape) == ((2, 1), (2, 1, 64, 64))
    for multimask in (True, False):
        with pytest.raises(InputError, match=r"no input 'multimask_output'.*export the model"):
            model.decode_prompts(*ARGUMENTS, multimask_output=multimask)
