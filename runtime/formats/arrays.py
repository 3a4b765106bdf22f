"""Array types shared by all parts, and the one place that defines them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
"""Any array. Use it only at borders to files and untyped packages."""

Float2D: TypeAlias = NDArray[np.float32]
"""``(height, width)`` float32."""

Float3D: TypeAlias = NDArray[np.float32]
"""Three axes, float32; the docstring says which."""

Float4D: TypeAlias = NDArray[np.float32]
"""Four axes, float32; the docstring says which."""

Labels2D: TypeAlias = NDArray[np.int32]
"""``(height, width)`` int32 instance labels, 0 is background."""

Labels3D: TypeAlias = NDArray[np.int32]
"""``(slices, height, width)`` int32 instance labels, 0 is background."""

Masks: TypeAlias = NDArray[np.bool_]
"""Boolean masks at image size."""

Points: TypeAlias = NDArray[np.float32]
"""``(..., n, 2)`` float32 in (x, y) pixels of the original image."""

Boxes: TypeAlias = NDArray[np.float32]
"""``(n, 4)`` float32 XYXY in pixels of the original image."""

Tensors: TypeAlias = dict[str, NDArray[Any]]
"""Weights by their original SAM key names."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called as ``progress(stage, done, total)``; a total of 0 is unknown."""
