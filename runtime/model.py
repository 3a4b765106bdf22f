"""The runtime's main path: embed an image once, then prompt it or segment it automatically.

In: a ``ModelConfig``, the model's networks, and images. Out: embeddings, masks, labels. Made by
``package.load``, and by training for validation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import tiles as tiling
from .ais import segment_from_maps
from .arrays import Array, Float3D, Float4D, Labels2D, Masks, Progress
from .config import (
    AIS_CHANNELS,
    EMBEDDING_CHANNELS,
    MASK_THRESHOLD,
    AisParameters,
    ModelConfig,
)
from .embeddings import ImageEmbeddings
from .errors import InputError, ShapeError
from .geometry import Size, field_of_view, input_size, interpolate, resize_image
from .images import check_image
from .intensity import is_constant, to_0_255
from .networks import Networks
from .prompts import BOX_TOP_LEFT, PADDING, Prompt, collect_prompts
from .tiles import Tile
from .variants import Variant, Variants

PROMPT_BATCH = 8
"""Objects in one decoder call: larger batches cost more in page faults than they save (own
choice; ``benchmarks/``)."""


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
        parameters: AisParameters | None = None,
        progress: Progress | None = None,
    ) -> Labels2D:
        """Segment all instances automatically (AIS).

        Args:
            image: As in ``embed``, or embeddings computed before. An image larger than the
                model's field of view is cut into tiles.
            tile_shape: (height, width) of the inner tiles.
            halo: (height, width) of context around each tile.
            parameters: Thresholds; the model's own by default.
            progress: Called with ("embed", tiles done, tiles in all).

        Returns:
            Instance labels ``(height, width)`` int32, 0 is background. A constant image has none.

        Raises:
            InputError: The model has no AIS decoder.
            ImageError: The image cannot be used.
            ShapeError: A tile with its halo does not fit the model's field of view.
        """
        self._require_ais()
        if not isinstance(image, ImageEmbeddings):
            image = check_image(image)
            if is_constant(image):
                return np.zeros(_size(image), np.int32)
            image = self.embed_tiles(image, tile_shape=tile_shape, halo=halo, progress=progress)
        elif image.constant:
            return np.zeros(image.original_size, np.int32)
        maps = self.ais_maps(image)
        return segment_from_maps(*maps, parameters=parameters or self.config.ais)

    @_with_one_adapter
    def ais_maps(self, embeddings: ImageEmbeddings) -> Float3D:
        """Decode the AIS maps of a whole image.

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
        done = 0
        for index, batch in self._batches(prompts, embeddings.tiles):
            tile = embeddings.tiles[index]
            logits, iou, low = self._decode(
                embeddings.values[index : index + 1], tile, [prompts[i] for i in batch]
            )
            y0, x0, y1, x1 = tile.outer
            masks[batch, y0:y1, x0:x1] = logits[:, 0] > MASK_THRESHOLD
            scores[batch], low_res[batch] = iou[:, 0], low
            done += len(batch)
            if progress is not None:
                progress("prompt", done, len(prompts))
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
                "this model has no AIS decoder, so it cannot segment automatically; "
                "prompt it with points or boxes, or choose another model"
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

    def _batches(
        self, prompts: list[Prompt], windows: tuple[Tile, ...]
    ) -> Iterator[tuple[int, list[int]]]:
        """Group objects that one decoder call can take: same tile, tokens, and mask input or not.

        Equal numbers of tokens need no padding, which would change the masks slightly.
        """
        groups: dict[tuple[int, int, bool], list[int]] = defaultdict(list)
        for i, prompt in enumerate(prompts):
            tile = _central_tile(prompt, windows)
            tokens = len(_tile_tokens(prompt, windows[tile])[1])
            groups[tile, tokens, prompt.mask_input is not None].append(i)
        for (tile, _, _), members in groups.items():
            for start in range(0, len(members), PROMPT_BATCH):
                yield tile, members[start : start + PROMPT_BATCH]

    def _decode(
        self, image_embeddings: Float4D, tile: Tile, prompts: list[Prompt]
    ) -> tuple[Float4D, NDArray[np.float32], Float4D]:
        tokens = [_tile_tokens(prompt, tile) for prompt in prompts]
        rows, columns = self._input_size(tile.size)
        factor = np.array([columns / tile.size[1], rows / tile.size[0]])
        coords = (np.stack([token[0] for token in tokens]) * factor).astype(np.float32)
        labels = np.stack([token[1] for token in tokens])
        masks = [prompt.mask_input for prompt in prompts if prompt.mask_input is not None]
        return self.networks.decode_prompts(
            image_embeddings, coords, labels, np.stack(masks) if masks else None, tile.size
        )


def _size(image: Array) -> Size:
    return image.shape[0], image.shape[1]


def _central_tile(prompt: Prompt, windows: tuple[Tile, ...]) -> int:
    """Index of the tile in which the object's anchor lies farthest from the window's edges."""
    x, y = prompt.anchor
    margins = [
        min(y - tile.outer[0], x - tile.outer[1], tile.outer[2] - y, tile.outer[3] - x)
        for tile in windows
    ]
    return int(np.argmax(margins))


def _tile_tokens(prompt: Prompt, tile: Tile) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Coordinates relative to the tile, and labels, padded as segment-anything pads.

    A box is cut at the window, points outside of it are left out (they say nothing about what the
    network sees). Without a box one padding token follows, as in segment-anything.
    """
    y0, x0, y1, x1 = tile.outer
    coords = prompt.coords.astype(np.float64) - (x0, y0)
    labels = prompt.labels
    limit = np.array([x1 - x0, y1 - y0], np.float64)
    if prompt.has_box:
        coords[-2:] = np.clip(coords[-2:], 0, limit)
    inside = ((coords >= 0) & (coords <= limit)).all(axis=1) | (labels >= BOX_TOP_LEFT)
    coords, labels = coords[inside], labels[inside]
    if not prompt.has_box:
        coords = np.concatenate([coords, np.zeros((1, 2))])
        labels = np.concatenate([labels, np.array([PADDING], np.float32)])
    return coords, labels
