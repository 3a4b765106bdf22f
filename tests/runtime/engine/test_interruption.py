"""A run of onnxruntime that is stopped from another thread."""

import threading
import time

import pytest

from samzoo.runtime.engine.interruption import stop_runs, stoppable


class Options:
    terminate = False


def test_only_runs_that_run_are_stopped():
    before, during = Options(), Options()
    with stoppable(before):
        pass
    with stoppable(during):
        stop_runs()
    assert (before.terminate, during.terminate) == (False, True)


def test_onnxruntime_ends_an_endless_loop(toy_package):
    """Our own check refuses such a graph; a slow one must end as well."""
    onnxruntime = pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Identity", ["v"], ["w"])],
        "body",
        [value("i", kinds.INT64, []), value("c", kinds.BOOL, []), value("v", kinds.FLOAT, [])],
        [value("d", kinds.BOOL, []), value("w", kinds.FLOAT, [])],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["turns", "go", "x"], ["y"], body=body)],
        "graph",
        [value("x", kinds.FLOAT, []), value("turns", kinds.INT64, []), value("go", kinds.BOOL, [])],
        [value("y", kinds.FLOAT, [])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings)
    import numpy as np

    feed = {"x": np.float32(1), "turns": np.int64(2**62), "go": np.bool_(True)}
    feed = {name: np.asarray(value) for name, value in feed.items()}
    options = onnxruntime.RunOptions()
    options.log_severity_level = 4
    threading.Timer(0.2, stop_runs).start()
    start = time.monotonic()
    with stoppable(options), pytest.raises(Exception, match="terminate"):
        session.run(["y"], feed, options)
    assert time.monotonic() - start < 30
