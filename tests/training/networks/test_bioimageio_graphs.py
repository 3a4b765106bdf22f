"""The resizing inside the BioImage.IO graphs, against Pillow."""

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]  # those of torch.jit

SIZES = [(170, 255), (42, 63), (64, 32), (85, 64), (50, 75), (30, 31)]


def resized(image, side):
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR))


@pytest.mark.parametrize(("given", "wanted"), SIZES)
def test_8_bit_images_are_resized_exactly_as_pillow_does(given, wanted):
    from samzoo.training.networks.bioimageio_graphs import resampling_weights

    image = np.random.default_rng(given).integers(0, 256, (given, given)).astype(np.uint8)
    expected = np.asarray(
        Image.fromarray(image).resize((wanted, wanted), Image.Resampling.BILINEAR)
    )
    weights = resampling_weights(given, wanted, fixed_point=True)
    found = np.floor(weights @ np.floor(image @ weights.T + 0.5) + 0.5)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(("given", "wanted"), SIZES)
def test_float_images_are_resized_as_pillow_does(given, wanted):
    from samzoo.training.networks.bioimageio_graphs import resampling_weights

    image = np.random.default_rng(given).random((given, given), np.float32) * 255
    expected = np.asarray(
        Image.fromarray(image).resize((wanted, wanted), Image.Resampling.BILINEAR)
    )
    weights = resampling_weights(given, wanted, fixed_point=False)
    assert weights.dtype == np.float32
    assert np.abs(weights @ image @ weights.T - expected).max() < 255 * 1e-6


@pytest.mark.parametrize("size", [(1, 3, 63, 64), (1, 3, 65, 65), (2, 3, 64, 64), (1, 3, 32, 128)])
def test_a_traced_encoder_refuses_other_sizes(size):
    import tiny

    from samzoo.training.networks.bioimageio_graphs import TileEncoder

    encoder = TileEncoder(tiny.make_sam())
    with torch.no_grad():
        traced = torch.jit.trace(encoder, torch.rand(1, 3, 64, 64), check_trace=False)
        with pytest.raises(RuntimeError, match="must match"):
            traced(torch.rand(size))
