"""The runtime's main path: embed an image once, then prompt it or segment it automatically.

In: a ``ModelConfig``, the model's networks, and images. Out: embeddings, masks, labels. Made by
``package.load``, and by training for validation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import tiles as tiling
from .ais import segment_from_maps
from .amg import AmgParameters, generate_masks, segment_by_grid
from .apg import ApgParameters, segment_by_seeds
from .arrays import Array, Float3D, Float4D, Labels2D, Masks, Progress
from .candidates import Candidate
from .config import (
    AIS_CHANNELS,
    EMBEDDING_CHANNELS,
    MASK_THRESHOLD,
    AisParameters,
    ModelConfig,
)
from .embeddings import ImageEmbeddings
from .enlarging import draw_mask
from .errors import InputError, ShapeError
from .geometry import Size, field_of_view, input_size, interpolate, resize_image
from .images import check_image
from .intensity import is_constant, to_0_255
from .modes import Mode, parameters_of
from .networks import Networks
from .prompting import decode
from .prompts import collect_prompts
from .tiles import Tile
from .variants import Variant, Variants

P = ParamSpec("P")
R = TypeVar("R")


def _with_one_adapter(
    method: Callable[Concatenate[Model, P], R],
) -> Callable[Concatenate[Model, P], R]:
    """Let a call end with the adapter it began with, whatever ``use`` does meanwhile."""

    @wraps(method)
    def call(self: Model, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return method(self._fixed(), *args, **kwargs)

    return call


class Model:
    """A SAM that embeds, answers prompts and segments, with everything its config declares.

    Example:
        >>> from samzoo.runtime import load  # doctest: +SKIP
        >>> model = load("package")  # doctest: +SKIP
        >>> labels = model.segment(image)  # doctest: +SKIP
    """

    def __init__(
        self,
        config: ModelConfig,
        networks: Networks,
        *,
        adapters: Mapping[str, Variant] | None = None,
    ) -> None:
        """Make a model of its networks.

        Args:
            config: Of the model.
            networks: Compute it.
            adapters: What ``use`` switches between; the first of them is in use, ``config`` and
                ``networks`` are its.
        """
        others = adapters or {}
        first = next(iter(others.values()), Variant(config, networks))
        self._variants = Variants(first, others)

    @property
    def config(self) -> ModelConfig:
        """The config of the model in use."""
        return self._variants.current.config

    @property
    def networks(self) -> Networks:
        """The networks of the model in use."""
        return self._variants.current.networks

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names that ``use`` takes; empty where the package holds one model."""
        return self._variants.names

    @property
    def adapter(self) -> str | None:
        """Name of the adapter in use; None where the package holds one model."""
        return self._variants.current.adapter

    def use(self, adapter: str) -> None:
        """Switch to another finetuned model over the same encoder, at once.

        Its factors are read and checked when the first image is embedded, its decoders when they
        are first needed. Calls that run in other threads end with the adapter they began with.
        Embeddings belong to the adapter that computed them; the others refuse them.

        Args:
            adapter: One of ``adapters``.

        Raises:
            InputError: There is none of that name.
        """
        self._variants.use(adapter)

    def _fixed(self) -> Model:
        return Model(*self._variants.current[:2]) if self.adapters else self

    @property
    def field(self) -> int:
        """Side in image pixels of what the encoder sees at once."""
        return field_of_view(self.config.image_size, self.config.preprocessing.scale)

    @_with_one_adapter
    def embed(
        self,
        image: Array,
        *,
        tile_shape: Size | None = None,
        halo: Size | None = None,
        progress: Progress | None = None,
    ) -> ImageEmbeddings:
        """Compute the embeddings of an image; do it once and prompt as often as needed.

        Args:
            image: ``(height, width)`` grey or ``(height, width, 3)`` RGB; any integer or float
                dtype, finite.
            tile_shape: (height, width) of the inner tiles. By default a model with a declared
                scale tiles images larger than its field of view, and one without shrinks them.
            halo: (height, width) of context around each tile; an eighth of the field by default.
            progress: Called with ("embed", tiles done, tiles in all).

        Returns:
            The embeddings of all tiles.

        Raises:
            ImageError: The image cannot be used.
            ShapeError: A tile with its halo does not fit the model's field of view.
        """
        image = check_image(image)
        if tile_shape is None and self.config.preprocessing.scale is None:
            return self._embed(image, tiling.whole(_size(image)), progress)
        return self.embed_tiles(image, tile_shape=tile_shape, halo=halo, progress=progress)

    @_with_one_adapter
    def embed_tiles(
        self,
        image: Array,
        *,
        tile_shape: Size | None = None,
        halo: Size | None = None,
        progress: Progress | None = None,
    ) -> ImageEmbeddings:
        """Compute embeddings as ``segment`` does: an image larger than the field is tiled.

        Args:
            image: As in ``embed``.
            tile_shape: (height, width) of the inner tiles; by default as few tiles as cover it.
            halo: (height, width) of context around each tile.
            progress: Called with ("embed", tiles done, tiles in all).

        Returns:
            The embeddings of all tiles.

        Raises:
            ImageError: The image cannot be used.
            ShapeError: A tile with its halo does not fit the model's field of view.
        """
        image = check_image(image)
        return self._embed(image, self._tiles(_size(image), tile_shape, halo), progress)

    @_with_one_adapter
    def segment(
        self,
        image: Array | ImageEmbeddings,
        *,
        tile_shape: Size | None = None,
        halo: Size | None = None,
        mode: Mode = "ais",
        parameters: AisParameters | AmgParameters | ApgParameters | None = None,
        progress: Progress | None = None,
    ) -> Labels2D:
        """Segment all instances automatically.

        Args:
            image: As in ``embed``, or embeddings computed before. An image larger than the
                model's field of view is cut into tiles; ``amg`` does so only if the model has a
                declared scale or ``tile_shape`` is given, as ``embed`` does.
            tile_shape: (height, width) of the inner tiles.
            halo: (height, width) of context around each tile.
            mode: ``ais`` floods the AIS decoder's maps from their seeds; ``apg`` prompts a point in
                each seed; ``amg`` prompts a grid of points and needs no AIS decoder.
            parameters: Thresholds of the mode; the model's own for ``ais``, the defaults of
                ``AmgParameters`` and ``ApgParameters`` otherwise.
            progress: Called with ("embed", tiles done, tiles in all), and with ("prompt", points
                done, points in all).

        Returns:
            Instance labels ``(height, width)`` int32, 0 is background. A constant image has none.

        Raises:
            InputError: The model has no AIS decoder and the mode needs one, or the mode is not
                known, or the parameters belong to another, or the package is too old for it.
            ImageError: The image cannot be used.
            ShapeError: A tile with its halo does not fit the model's field of view.
        """
        chosen = parameters_of(mode, parameters, self.config.ais)
        if mode != "amg":
            self._require_ais()
        if not isinstance(image, ImageEmbeddings):
            image = check_image(image)
            if is_constant(image):
                return np.zeros(_size(image), np.int32)
            embed = self.embed if mode == "amg" else self.embed_tiles
            image = embed(image, tile_shape=tile_shape, halo=halo, progress=progress)
        elif image.constant:
            return np.zeros(image.original_size, np.int32)
        self._check_origin(image)
        if isinstance(chosen, AmgParameters):
            return segment_by_grid(self.networks, self.config, image, chosen, progress)
        maps = self.ais_maps(image)
        if isinstance(chosen, ApgParameters):
            return segment_by_seeds(self.networks, self.config, image, maps, chosen, progress)
        return segment_from_maps(*maps, parameters=chosen)

    @_with_one_adapter
    def generate_masks(
        self,
        embeddings: ImageEmbeddings,
        *,
        parameters: AmgParameters | None = None,
        progress: Progress | None = None,
    ) -> list[Candidate]:
        """Find the masks of everything in an image, which may overlap (AMG).

        Args:
            embeddings: From ``embed`` of this model.
            parameters: Grid and thresholds.
            progress: Called with ("prompt", points done, points in all).

        Returns:
            Masks with their boxes and scores, the best first.

        Raises:
            InputError: The package is too old, or another model made the embeddings.
        """
        self._check_origin(embeddings)
        return generate_masks(
            self.networks, self.config, embeddings, parameters or AmgParameters(), progress
        )

    @_with_one_adapter
    def ais_maps(self, embeddings: ImageEmbeddings) -> Float3D:
        """Decode the AIS maps of a whole image.

        Args:
            embeddings: From ``embed`` of this model.

        Returns:
            ``(3, height, width)`` float32 in 0..1, in the order of ``AIS_CHANNELS``.

        Raises:
            InputError: The model has no AIS decoder, or another model made the embeddings.
        """
        self._require_ais()
        self._check_origin(embeddings)
        height, width = embeddings.original_size
        maps = np.zeros((len(AIS_CHANNELS), height, width), np.float32)
        for value, tile in zip(embeddings.values, embeddings.tiles, strict=True):
            side = self.config.image_size
            tile_maps = interpolate(self.networks.decode_ais(value[None])[0], (side, side))
            rows, columns = self._input_size(tile.size)
            tile_maps = interpolate(tile_maps[:, :rows, :columns], tile.size)
            (y, x), (y0, x0, y1, x1) = tile.outer[:2], tile.inner
            maps[:, y0:y1, x0:x1] = tile_maps[:, y0 - y : y1 - y, x0 - x : x1 - x]
        return maps

    @_with_one_adapter
    def prompt(
        self,
        embeddings: ImageEmbeddings,
        *,
        points: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        boxes: ArrayLike | None = None,
        mask_input: ArrayLike | None = None,
        progress: Progress | None = None,
    ) -> tuple[Masks, NDArray[np.float32], Float4D]:
        """Segment the prompted objects, any number in one call.

        One mask an object: the single-mask output where a box or several points say what is
        meant, else the best of the three multimask outputs by predicted IoU.

        Args:
            embeddings: From ``embed`` of this model.
            points: ``(n, k, 2)`` (x, y) in image pixels, or ``(k, 2)`` for one object.
            point_labels: ``(n, k)``; 1 object, 0 background, -1 no point.
            boxes: ``(n, 4)`` XYXY in image pixels.
            mask_input: low_res_logits ``(n, 1, 4 * grid, 4 * grid)`` of an earlier call.
            progress: Called with ("prompt", objects done, objects in all).

        Returns:
            masks ``(n, height, width)`` bool, iou_predictions ``(n,)`` float32 and low_res_logits
            ``(n, 1, 4 * grid, 4 * grid)`` float32. In a tiled image the last refer to the tile
            that the object was decoded in.

        Raises:
            InputError: A prompt cannot be used, or another model made the embeddings.
            ShapeError: A shape is wrong.
        """
        self._check_origin(embeddings)
        side = 4 * self.config.grid
        prompts = collect_prompts(
            points=points,
            point_labels=point_labels,
            boxes=boxes,
            mask_input=mask_input,
            image_size=embeddings.original_size,
            mask_side=side,
        )
        masks = np.zeros((len(prompts), *embeddings.original_size), np.bool_)
        scores = np.zeros(len(prompts), np.float32)
        low_res = np.zeros((len(prompts), 1, side, side), np.float32)
        for decoded in decode(self.networks, self.config, embeddings, prompts, progress=progress):
            y0, x0, y1, x1 = decoded.tile.outer
            for i, logits in zip(decoded.members, decoded.low_res[:, 0], strict=True):
                draw_mask(logits, decoded.enlargement, MASK_THRESHOLD, masks[i, y0:y1, x0:x1])
            scores[decoded.members] = decoded.iou[:, 0]
            low_res[decoded.members] = decoded.low_res
        return masks, scores, low_res

    def _embed(
        self, image: Array, windows: list[Tile], progress: Progress | None
    ) -> ImageEmbeddings:
        constant = is_constant(image)
        image = to_0_255(image, self.config.preprocessing)
        values = []
        for index, tile in enumerate(windows):
            y0, x0, y1, x1 = tile.outer
            resized = resize_image(image[y0:y1, x0:x1], self._input_size(tile.size))
            values.append(self.networks.encode(resized))
            if progress is not None:
                progress("embed", index + 1, len(windows))
        return ImageEmbeddings(
            np.concatenate(values),
            tuple(windows),
            _size(image),
            self.config.weights_digest,
            constant,
        )

    def _tiles(self, size: Size, tile_shape: Size | None, halo: Size | None) -> list[Tile]:
        scale, field = self.config.preprocessing.scale, self.field
        if tile_shape is None:
            margin = field // tiling.HALO_FRACTION if halo is None else max(halo)
            return tiling.even_tiles(size, field, margin)
        if halo is None:
            halo = (field // tiling.HALO_FRACTION,) * 2
        outer = max(tile_shape[0] + 2 * halo[0], tile_shape[1] + 2 * halo[1])
        if scale is not None and outer > field:
            raise ShapeError(
                f"tile_shape {tile_shape} with halo {halo} needs {outer} pixels, the model's field "
                f"of view is {field}; make tile_shape + 2 * halo at most {field}"
            )
        return tiling.regular_tiles(size, tile_shape, halo)

    def _input_size(self, size: Size) -> Size:
        return input_size(size, self.config.image_size, self.config.preprocessing.scale)

    def _require_ais(self) -> None:
        if self.config.architecture.ais_decoder is None:
            raise InputError(
                "this model has no AIS decoder, which the modes ais and apg need; segment with the "
                "mode amg, prompt it with points or boxes, or choose another model"
            )

    def _check_origin(self, embeddings: ImageEmbeddings) -> None:
        if embeddings.weights_digest != self.config.weights_digest:
            raise InputError(
                f"the embeddings were computed by the model {embeddings.weights_digest}, this is "
                f"{self.config.weights_digest}; embed the image again with this model"
            )
        expected = (len(embeddings.tiles), EMBEDDING_CHANNELS, self.config.grid, self.config.grid)
        if embeddings.values.shape != expected:
            raise ShapeError(
                f"image_embeddings must have shape {expected}, got {embeddings.values.shape}; "
                "embed the image again with this model"
            )


def _size(image: Array) -> Size:
    return image.shape[0], image.shape[1]
