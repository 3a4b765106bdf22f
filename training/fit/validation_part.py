"""The part of the validation data that scores a model after each epoch, where all cost too much.

In: validation images and a run's settings. Out: the images for each epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from samzoo.training.config import TrainConfig
from samzoo.training.data.annotated import AnnotatedImage

MOST_NAMED = 5
"""Images in one sentence (own choice)."""


def after_an_epoch(
    val_data: Sequence[AnnotatedImage], config: TrainConfig
) -> Sequence[AnnotatedImage]:
    """Choose the images that validate after each epoch: all, or ``validation_images`` of them.

    Args:
        val_data: All validation images.
        config: The run's settings.

    Returns:
        The chosen images in their order, always the same ones. They are spread evenly over the
        groups, then over each group's images, since neighbours in a list look alike. An image
        without a group is one of its own. At least one has objects if any has.
    """
    most = config.validation_images
    if not most or len(val_data) <= most:
        return val_data
    groups: dict[str | int, list[int]] = {}
    for index, a in enumerate(val_data):
        groups.setdefault(a.group or index, []).append(index)
    per_group = -(-most // len(groups))
    rounds = zip_longest(*(_spread(group, per_group) for group in groups.values()))
    chosen: list[int] = []
    for each in rounds:
        chosen += _spread([i for i in each if i is not None], most - len(chosen))
    # Small groups may leave places for more images of the large ones.
    rest = [i for i in range(len(val_data)) if i not in chosen]
    chosen += _spread(rest, most - len(chosen))
    if not any(len(val_data[i].areas) for i in chosen):
        filled = [i for i, a in enumerate(val_data) if len(a.areas)]
        chosen = [*chosen[1:], *filled[:1]]
    return [val_data[i] for i in sorted(chosen)]


def _spread(items: Sequence[int], most: int) -> list[int]:
    """Return at most so many items, evenly spaced."""
    count = min(most, len(items))
    return [items[(2 * k + 1) * len(items) // (2 * count)] for k in range(count)]


def is_partial(val_data: Sequence[AnnotatedImage], config: TrainConfig) -> bool:
    """Tell whether an epoch's scores may leave out images or objects."""
    return bool(config.validation_objects) or len(after_an_epoch(val_data, config)) < len(val_data)


def about_epochs(val_data: Sequence[AnnotatedImage], config: TrainConfig) -> list[str]:
    """Say in a sentence what validates after each epoch, if that is not all; else nothing."""
    if not is_partial(val_data, config):
        return []
    chosen = after_an_epoch(val_data, config)
    told = "on all images"
    if len(chosen) < len(val_data):
        rest = f" and {len(chosen) - MOST_NAMED} more" if len(chosen) > MOST_NAMED else ""
        names = ", ".join(a.name for a in chosen[:MOST_NAMED])
        told = f"on {len(chosen)} of {len(val_data)} images ({names}{rest})"
    if config.validation_objects:
        told += f" with at most {config.validation_objects} prompted objects each"
    return [f"validates after each epoch {told}; the best checkpoint on all at the end"]
