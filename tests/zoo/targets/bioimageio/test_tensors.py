"""Intensities stretched by the description's operations, against samzoo's own."""

import numpy as np
import pytest

from samzoo.runtime.formats.config import Preprocessing
from samzoo.zoo.targets.bioimageio.tensors import fed, spec, stretching

pytest.importorskip("torch")
proc_ops = pytest.importorskip("bioimageio.core.proc_ops")
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]

SPARSE = np.zeros((1, 3, 20, 20), np.float32)
SPARSE[..., 4, 5] = 7
RNG = np.random.default_rng(3)


@pytest.mark.parametrize(
    "preprocessing",
    [
        Preprocessing(intensity="min_max"),
        Preprocessing(intensity="percentile", percentiles=(0.5, 99.5)),
        Preprocessing(intensity="percentile", percentiles=(5.0, 60.0)),
    ],
)
@pytest.mark.parametrize(
    "image",
    [
        RNG.integers(900, 40000, (1, 3, 20, 30)).astype(np.float32),  # as of 16 bits
        RNG.normal(0, 1.0, (1, 3, 20, 30)).astype(np.float32),
        np.full((1, 3, 20, 20), 0.1, np.float32),  # constant: zeros
        SPARSE,  # equal percentiles: what is above them is 255
    ],
    ids=["uint16", "floats", "constant", "sparse"],
)
def test_the_operations_stretch_as_samzoo_does(preprocessing, image):
    from bioimageio.core import Sample, Tensor
    from bioimageio.core.common import MemberId
    from bioimageio.core.proc_setup import setup_pre_and_postprocessing

    v0_5 = spec()
    axes = [
        v0_5.BatchAxis(size=1), v0_5.ChannelAxis(channel_names=["red", "green", "blue"]),
        v0_5.SpaceInputAxis(id="y", size=image.shape[2]),
        v0_5.SpaceInputAxis(id="x", size=image.shape[3]),
    ]  # fmt: skip
    given = v0_5.InputTensorDescr(
        id="image", axes=axes, data=v0_5.IntervalOrRatioDataDescr(type="float32"),
        preprocessing=stretching(preprocessing),
    )  # fmt: skip
    model = v0_5.ModelDescr.model_construct(inputs=[given], outputs=[])
    tensor = Tensor.from_numpy(image.copy(), dims=["batch", "channel", "y", "x"])
    sample = Sample(members={MemberId("image"): tensor}, stat={}, id="x")
    for operation in setup_pre_and_postprocessing(model, []).pre:
        operation(sample)
    found = sample.members[MemberId("image")].to_numpy()
    assert found.dtype == np.float32
    assert np.abs(found - fed(image, preprocessing)).max() < 255 * 1e-5


def test_nothing_is_stretched_for_a_model_that_takes_8_bits_as_they_are():
    preprocessing = Preprocessing(intensity="none")
    assert stretching(preprocessing) == []
    image = np.full((1, 3, 4, 4), 17, np.uint8)
    assert np.array_equal(fed(image, preprocessing), image)
