"""The AIS post-processing against the sum of the kernels that it is made of.

    python benchmarks/postprocessing.py [--runs 20] [--side 1024] [--cells 300]

A seed gives the maps of touching, noisy ellipses. Each round runs everything once, one after the
other: bioimage-cpp's Gaussian on each of the three maps, its labelling and its watershed, on
prepared inputs; then all of ``segment_from_maps``, which also checks, thresholds and numbers. The
ratio is taken round by round, so that other work on the machine affects both.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import numpy as np
from bioimage_cpp.filters import gaussian_smoothing
from bioimage_cpp.segmentation import label, watershed
from numpy.typing import NDArray
from racing import alternate

from samzoo.runtime.automatic.ais import segment_from_maps
from samzoo.runtime.formats.config import AisParameters

Map = NDArray[np.float32]


def main() -> None:
    """Print medians, spreads and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--cells", type=int, default=300)
    options = parser.parse_args()
    print(report(options.runs, side=options.side, cells=options.cells))


def report(runs: int, *, side: int = 1024, cells: int = 300) -> str:
    """Time kernels and post-processing; return a table and the ratio."""
    maps = make_maps(side, cells, seed=0)
    parameters = AisParameters()
    kernels = make_kernels(maps, parameters)

    def whole() -> object:
        return segment_from_maps(*maps, parameters=parameters)

    times = alternate({**kernels, "segment_from_maps": whole}, runs)
    sums = [sum(values) for values in zip(*(times[name] for name in kernels), strict=True)]
    whole_times = times["segment_from_maps"]
    found = segment_from_maps(*maps, parameters=parameters)
    rows = {**{name: times[name] for name in kernels}, "sum of the kernels": sums}
    ratios = [ours / theirs for ours, theirs in zip(whole_times, sums, strict=True)]
    return "\n".join(
        [
            f"{side} x {side}, {int(found.max())} objects found, {runs} rounds",
            "",
            "| step | ms, median (range) |",
            "|---|---|",
            *(
                f"| {name} | {spread([1000 * value for value in values])} |"
                for name, values in {**rows, "segment_from_maps": whole_times}.items()
            ),
            "",
            f"segment_from_maps / sum of the kernels: {spread(ratios)}",
        ]
    )


def spread(values: list[float]) -> str:
    """Return the median and the range of values."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def make_maps(side: int, cells: int, seed: int) -> tuple[Map, Map, Map]:
    """Make the three maps of ``cells`` ellipses on a jittered grid, with smooth noise.

    Returns:
        foreground, center_distances, boundary_distances, ``(side, side)`` float32 in [0, 1].
    """
    rng = np.random.default_rng(seed)
    across = int(np.ceil(np.sqrt(cells)))
    pitch = side / across
    distance = np.full((side, side), 2.0)  # 1 at an ellipse's border
    for cell in range(cells):
        center = (np.array(divmod(cell, across)) + 0.5 + rng.uniform(-0.15, 0.15, 2)) * pitch
        radii, angle = pitch * rng.uniform(0.38, 0.6, 2), rng.uniform(0, np.pi)
        y0, x0 = (np.maximum(center - pitch, 0)).astype(int)
        y1, x1 = (np.minimum(center + pitch, side)).astype(int)
        y, x = np.mgrid[y0:y1, x0:x1]
        y, x = y - center[0], x - center[1]
        along = (y * np.cos(angle) + x * np.sin(angle)) / radii[0]
        other = (x * np.cos(angle) - y * np.sin(angle)) / radii[1]
        window = distance[y0:y1, x0:x1]
        np.minimum(window, np.hypot(along, other), out=window)

    def noisy(values: NDArray[np.float64]) -> Map:
        noise = gaussian_smoothing(rng.standard_normal((side, side)).astype(np.float32), 1.0)
        return np.clip(values + 0.2 * noise, 0, 1).astype(np.float32)

    inside = np.minimum(distance, 1)
    return noisy(1 / (1 + np.exp(8 * (distance - 1)))), noisy(inside), noisy(inside**2)


def make_kernels(
    maps: tuple[Map, Map, Map], parameters: AisParameters
) -> dict[str, Callable[[], object]]:
    """Bind each kernel to its input inside ``segment_from_maps``."""
    sigmas = (parameters.foreground_smoothing, *(parameters.distance_smoothing,) * 2)
    smoothed = [gaussian_smoothing(m, sigma) for m, sigma in zip(maps, sigmas, strict=True)]
    foreground, center, boundary = smoothed
    mask = foreground > parameters.foreground_threshold
    candidates = mask & (center < parameters.center_distance_threshold)
    candidates &= boundary < parameters.boundary_distance_threshold
    seeds = label(candidates)
    return {
        "gaussian, foreground": lambda: gaussian_smoothing(maps[0], sigmas[0]),
        "gaussian, center_distances": lambda: gaussian_smoothing(maps[1], sigmas[1]),
        "gaussian, boundary_distances": lambda: gaussian_smoothing(maps[2], sigmas[2]),
        "label": lambda: label(candidates),
        "watershed": lambda: watershed(boundary, seeds, mask=mask),
    }


if __name__ == "__main__":
    main()
