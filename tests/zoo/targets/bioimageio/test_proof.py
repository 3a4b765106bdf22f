"""A zip that means something else in bioimageio.core is not kept."""

import gc
import weakref

import pytest
from bioimageio_zips import export_zips, make_sam

from samzoo.runtime.errors import FormatError
from samzoo.zoo.targets.bioimageio import proof, tensors

pytest.importorskip("torch")
pytest.importorskip("bioimageio.core")
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]


def fixed(_tensor, channels):
    """Output axes of a fixed size, of which bioimageio.core keeps the last block alone."""
    v0_5 = tensors.spec()
    return [
        v0_5.BatchAxis(),
        v0_5.ChannelAxis(channel_names=list(channels)),
        v0_5.SpaceOutputAxis(id="y", size=64),
        v0_5.SpaceOutputAxis(id="x", size=64),
    ]


def others(preprocessing):
    """Other percentiles than those of samzoo."""
    v0_5 = tensors.spec()
    kwargs = v0_5.ScaleRangeKwargs(axes=["channel", "y", "x"], max_percentile=90.0)
    return [v0_5.ScaleRangeDescr(kwargs=kwargs), *_stretching(preprocessing)[1:]]


_stretching = tensors.stretching


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("_as_large_as", fixed, r"made \(64, 64\) of an image of \(64, 85\)"),
        ("stretching", others, "differs by"),
    ],
)
def test_a_wrong_description_is_found_before_the_zip_is_kept(
    tmp_path, monkeypatch, name, wrong, message
):
    monkeypatch.setattr(tensors, name, wrong)
    with pytest.raises(FormatError, match=message):
        export_zips(tmp_path, make_sam(intensity="min_max"))
    assert not (tmp_path / "package").exists()


def test_one_engine_at_a_time_holds_a_network_s_memory(tmp_path, monkeypatch):
    """Torch is done before bioimageio.core opens a network, and each is closed before the next."""
    events: list[str] = []
    opened: list[weakref.ref[object]] = []
    blocks, pipeline, predicted = proof._blocks, proof._pipeline, proof.predicted

    def found(*arguments, **options):
        outputs = predicted(*arguments, **options)
        # An output of onnxruntime's own would keep all memory of its session.
        assert all(value.flags.owndata for value in outputs.values())
        return outputs

    def computed(*arguments):
        events.append("torch")
        return blocks(*arguments)

    def open_pipeline(model, weights):
        gc.collect()
        assert not any(each() for each in opened)
        events.append(weights)
        found = pipeline(model, weights)
        opened.append(weakref.ref(found))
        return found

    monkeypatch.setattr(proof, "_blocks", computed)
    monkeypatch.setattr(proof, "_pipeline", open_pipeline)
    monkeypatch.setattr(proof, "predicted", found)
    export_zips(tmp_path, make_sam())
    assert events == ["torch", "onnx", "torchscript", "onnx", "torchscript"]
