"""The table of metrics: how labels that were found compare with the truth.

In: a ``Comparison``. Out: one number a metric. Reports, cards and their headers read the names from
``METRICS``, so that a new metric is one new row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from samzoo.runtime.formats.arrays import Labels2D

from .boundaries import boundary_errors
from .matching import Matches, match_objects
from .metrics import foreground_dice, segmentation_accuracies


@dataclass(frozen=True)
class Comparison:
    """Labels that were found, beside the true ones.

    Attributes:
        labels: Prediction, ``(height, width)`` integer, 0 is background.
        truth: True labels, same shape; -1 is not annotated.
        object_dices: The Dice coefficient of each prompted object's mask; None where no mask
            belongs to an object.
        rounds: The same after each number of corrections, the first without any; empty unless
            masks were corrected and each round was kept.
    """

    labels: Labels2D
    truth: Labels2D
    object_dices: Sequence[float] | None = None
    rounds: Sequence[Comparison] = ()

    @cached_property
    def matches(self) -> Matches:
        """The objects that match true ones; see ``match_objects``."""
        return match_objects(self.labels, self.truth)

    @cached_property
    def boundary_errors(self) -> list[float]:
        """The distances of outlines in pixels; see ``boundaries.boundary_errors``."""
        return boundary_errors(self.labels, self.truth)

    @cached_property
    def accuracies(self) -> dict[str, float]:
        """The segmentation accuracies; see ``mean_segmentation_accuracy``."""
        return segmentation_accuracies(self.matches)

    @property
    def dice(self) -> float:
        """Mean Dice over the objects, or the Dice of the whole foreground without objects."""
        if self.object_dices is None:
            return foreground_dice(self.labels, self.truth)
        return float(np.mean(self.object_dices))


METRICS: dict[str, Callable[[Comparison], float]] = {
    "msa": lambda comparison: comparison.accuracies["msa"],
    "sa50": lambda comparison: comparison.accuracies["sa50"],
    "sa75": lambda comparison: comparison.accuracies["sa75"],
    "dice": lambda comparison: comparison.dice,
}
"""Each metric by its name, in the order of tables; all in [0, 1], 1 is best."""


def scores_of(comparison: Comparison) -> dict[str, float]:
    """Compute every metric.

    Raises:
        ShapeError: Labels and truth differ in shape.
    """
    return {name: metric(comparison) for name, metric in METRICS.items()}
