"""The search for a run's AIS thresholds, when it ends.

In: the model at its best checkpoint, validation images. Out: the thresholds for its adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from samzoo.runtime.formats.arrays import Progress
from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.model import Model
from samzoo.training.config import TrainConfig
from samzoo.training.data.annotated import AnnotatedImage
from samzoo.training.data.spill import SpilledArrays

from .thresholds import placements, search_thresholds
from .validation_part import after_an_epoch


def searched(
    model_of: Callable[[AnnotatedImage], Model],
    val_data: Sequence[AnnotatedImage],
    config: TrainConfig,
    *,
    scale: float | None,
    folder: Path,
    progress: Progress | None = None,
) -> tuple[AisParameters, float]:
    """Search on the images that validate after an epoch, the coarse pass on one placement of each.

    Args:
        model_of: Gives the model as it sees an image, at its scale.
        val_data: All validation images.
        config: The run's settings: where the search starts, which images it uses, and the least
            size of objects that count.
        scale: The model's own scale, if it has one.
        folder: Folder for maps that do not stay in memory; who calls removes it.
        progress: Called with ("AIS maps", done, total), then as by ``search_thresholds``.

    Returns:
        The thresholds, and their mean mSA over the images at all placements.
    """
    maps, truths = SpilledArrays(folder / "maps"), SpilledArrays(folder / "truths")
    factors, coarse = list[float](), list[int]()
    chosen = after_an_epoch(val_data, config)
    for done, a in enumerate(chosen, start=1):
        model = model_of(a)
        own = model.config.preprocessing.scale
        # The search counts the same objects as validation.
        views = placements(a.image, a.labels, field=model.field, min_size=config.min_object_size)
        coarse += [len(maps)] if views else []  # the first is the whole image
        for image, labels in views:
            maps.append(model.ais_maps(model.embed_tiles(image)))
            truths.append(labels)
            factors.append(scale / own if scale and own else 1.0)
        if progress is not None:
            progress("AIS maps", done, len(chosen))
    return search_thresholds(
        maps, truths, config.ais, factors=factors, coarse=coarse, progress=progress
    )
