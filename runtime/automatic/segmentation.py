"""Automatic segmentation of an image, or of its embeddings, in any mode.

In: networks, a config, and an image or its embeddings. Out: instance labels.
"""

from __future__ import annotations

import numpy as np

from samzoo.runtime.engine.embeddings import ImageEmbeddings
from samzoo.runtime.engine.encoding import (
    check_origin,
    choose_placements,
    embed_image,
    unused_tiling,
)
from samzoo.runtime.engine.networks import Networks
from samzoo.runtime.engine.object_scale import Diameter, at_diameter, at_scale, check_diameter
from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Array, Float3D, Labels2D, Progress
from samzoo.runtime.formats.config import AisParameters, ModelConfig
from samzoo.runtime.images.empty_channels import without_empty_channels
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.images.intensity import is_constant
from samzoo.runtime.images.reading import check_image

from .ais import segment_from_maps
from .amg import AmgParameters, segment_by_grid
from .apg import ApgParameters, segment_by_seeds
from .doubts import image_doubts, label_doubts
from .maps import averaged_maps, check_average, decode_maps, require_ais
from .modes import Mode, Parameters, parameters_of
from .sizing import scale_of_array


def segment_image(
    networks: Networks,
    config: ModelConfig,
    image: Array | ImageEmbeddings,
    *,
    diameter: Diameter,
    tile_shape: Size | None,
    halo: Size | None,
    placements: int,
    average: int,
    mode: Mode,
    parameters: Parameters | None,
    progress: Progress | None,
    notes: list[str] | None,
) -> Labels2D:
    """Segment all instances, as ``Model.segment`` says.

    Args:
        networks: The model's networks.
        config: The model's config.
        image: As in ``Model.segment``.
        diameter: As in ``Model.segment``.
        tile_shape: As in ``Model.segment``.
        halo: As in ``Model.segment``.
        placements: As in ``Model.segment``.
        average: As in ``Model.segment``.
        mode: As in ``Model.segment``.
        parameters: As in ``Model.segment``.
        progress: As in ``Model.segment``.
        notes: As in ``Model.segment``.

    Returns:
        Instance labels ``(height, width)`` int32, 0 is background.

    Raises:
        SamzooError: As ``Model.segment``.
    """
    if isinstance(image, ImageEmbeddings):
        for name, given in (("tile_shape", tile_shape), ("halo", halo), ("diameter", diameter)):
            if given is not None:
                raise InputError(
                    f"{name}: found {given}, but embeddings have their tiles and scale already; "
                    "pass it to Model.embed, or pass the image"
                )
        config = at_scale(config, image.scale)
    check_diameter(config, diameter)
    chosen = parameters_of(mode, parameters, config.ais)
    if mode != "amg":
        require_ais(config)
    if placements != 1 and (mode != "ais" or isinstance(image, ImageEmbeddings)):
        raise InputError("more than one placement is for images and the mode ais")
    check_average(average)
    if average != 1 and (mode != "ais" or isinstance(image, ImageEmbeddings)):
        raise InputError("average: is for images and the mode ais; omit it")
    maps: Float3D | None = None
    if not isinstance(image, ImageEmbeddings):
        image = without_empty_channels(check_image(image))
        size = (image.shape[0], image.shape[1])
        scale = scale_of_array(networks, config, image, diameter, progress)
        config = at_diameter(config, scale.changed)
        chosen = parameters_of(mode, parameters, config.ais)
        if notes is not None and scale.doubt:
            notes.append(scale.doubt)
        if notes is not None:
            notes += image_doubts(image, config)
            notes += unused_tiling(config, size, tile_shape, halo, placements)
        if is_constant(image):
            return np.zeros(size, np.int32)
        if isinstance(chosen, AisParameters):
            grids = choose_placements(config, size, tile_shape, halo, placements)
            maps = averaged_maps(networks, config, image, grids, average, progress)
            labels = segment_from_maps(*maps, parameters=chosen)
            if notes is not None:
                notes += label_doubts(labels, config, foreground=maps[0])
            return labels
        image = embed_image(
            networks, config, image, shrink=mode == "amg", tile_shape=tile_shape, halo=halo,
            progress=progress,
        )  # fmt: skip
    elif image.constant:
        return np.zeros(image.original_size, np.int32)
    check_origin(image, config)
    if isinstance(chosen, AmgParameters):
        labels = segment_by_grid(networks, config, image, chosen, progress)
    else:
        maps = decode_maps(networks, config, image)
        if isinstance(chosen, ApgParameters):
            labels = segment_by_seeds(networks, config, image, maps, chosen, progress)
        else:
            labels = segment_from_maps(*maps, parameters=chosen)
    if notes is not None:
        foreground = None if maps is None else maps[0]
        notes += label_doubts(labels, config, foreground=foreground)
    return labels
