"""What tests of the runtime share."""

import numpy as np
import pytest
from scipy import ndimage


@pytest.fixture
def labels():
    """Five irregular objects, numbered 3, 6, 9, 12 and 15."""
    values = ndimage.gaussian_filter(np.random.default_rng(4).standard_normal((70, 90)), 3)
    found, _ = ndimage.label(values > 0)
    return (found * 3).astype(np.int32)
