"""The runtime's main path: embed an image once, then prompt it or segment it automatically.

In: a ``ModelConfig``, the model's networks, and images. Out: embeddings, masks, labels.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from samzoo.runtime.automatic.amg import AmgParameters, generate_masks
from samzoo.runtime.automatic.apg import ApgParameters
from samzoo.runtime.automatic.candidates import Candidate
from samzoo.runtime.automatic.maps import decode_maps, require_ais
from samzoo.runtime.automatic.modes import Mode
from samzoo.runtime.automatic.segmentation import segment_image
from samzoo.runtime.automatic.sizing import scale_of_array
from samzoo.runtime.engine.embeddings import ImageEmbeddings
from samzoo.runtime.engine.encoding import check_origin, embed_image
from samzoo.runtime.engine.model_spec import ModelSpec
from samzoo.runtime.engine.networks import Networks
from samzoo.runtime.engine.object_scale import Diameter, ObjectScale, at_diameter, at_scale
from samzoo.runtime.engine.variants import Switchable, Variant, Variants, with_one_adapter
from samzoo.runtime.formats.arrays import Array, Float3D, Float4D, Labels2D, Masks, Progress
from samzoo.runtime.formats.config import AisParameters, ModelConfig
from samzoo.runtime.images.geometry import Size, field_of_view
from samzoo.runtime.prompts.cutouts import MaskPart, place_masks
from samzoo.runtime.prompts.masks import prompted_masks
from samzoo.runtime.prompts.tokens import collect_prompts


class Model(Switchable):
    """A SAM that embeds images, answers prompts and segments, as its config declares.

    A package with several finetuned models over one encoder switches between them with ``use``.
    """

    def __init__(
        self,
        config: ModelConfig,
        networks: Networks,
        *,
        adapters: Mapping[str, Variant] | None = None,
        spec: ModelSpec | None = None,
    ) -> None:
        """Make a model from its networks.

        Args:
            config: The model's config.
            networks: The model's networks.
            adapters: The variants that ``use`` switches between. The first is in use; ``config``
                and ``networks`` belong to it.
            spec: The package that it was opened from, so that workers can open it too.
        """
        others = adapters or {}
        first = next(iter(others.values()), Variant(config, networks))
        super().__init__(Variants(first, others), spec)

    @property
    def field(self) -> int:
        """Side, in image pixels, of the square that the encoder sees at once."""
        return field_of_view(self.config.image_size, self.config.preprocessing.scale)

    def _seeing(self, embeddings: ImageEmbeddings) -> ModelConfig:
        """Return the config at the scale at which embeddings were computed."""
        return at_scale(self.config, embeddings.scale)

    def _sized_for(self, image: Array, diameter: Diameter) -> ModelConfig:
        found = scale_of_array(self.networks, self.config, image, diameter)
        return at_diameter(self.config, found.changed)

    @with_one_adapter
    def object_scale(
        self, image: Array, diameter: Diameter = "auto", *, progress: Progress | None = None
    ) -> ObjectScale:
        """Find out how large the objects in an image are, and at which scale to see it.

        Args:
            image: As in ``embed``.
            diameter: ``auto`` estimates the median object's diameter: the AIS maps of a few windows
                are looked at from coarse to fine scales, until nearly all foreground falls into
                objects. A number or ``own`` gives the scale that it leads to.
            progress: Called with ("size", tiles done, 0).

        Returns:
            Diameter, scale and where they come from. If the model is not sure, they are its own,
            and ``doubt`` says so. ``for_objects(found.changed)`` is the model at this scale.

        Raises:
            ImageError: The image cannot be used.
            InputError: The model has no AIS decoder, or does not say how large its objects were; or
                the diameter is out of range.
        """
        return scale_of_array(self.networks, self.config, image, diameter, progress)

    @with_one_adapter
    def embed(
        self,
        image: Array,
        *,
        diameter: Diameter = None,
        tile_shape: Size | None = None,
        halo: Size | None = None,
        lazy: bool = False,
        progress: Progress | None = None,
    ) -> ImageEmbeddings:
        """Compute the embeddings of an image; do it once and prompt as often as needed.

        Args:
            image: ``(height, width)`` grey or ``(height, width, 3)`` RGB; any integer or float
                dtype, finite.
            diameter: Diameter of the objects in image pixels (of the median one, as the circle of
                its area): the model sees the image at the scale at which they have the size of
                those that it was trained on. ``auto`` estimates it, see ``object_scale``; ``own``
                and the default are the model's own scale.
            tile_shape: (height, width) of the inner tiles. By default a model with a declared
                scale tiles images larger than its field of view, and one without shrinks them.
            halo: (height, width) of the least context around each tile; an eighth of the field by
                default.
            lazy: Encode each tile when a prompt first needs it. The values are the same; the image
                is kept and must not be changed meanwhile.
            progress: Called with ("embed", tiles done, tiles in all; 0 if ``lazy``).

        Returns:
            The embeddings of all tiles.

        Raises:
            ImageError: The image cannot be used.
            InputError: A halo is given, and the image is not tiled; or a diameter, and it is out of
                range, or the model does not say how large its objects were.
            ShapeError: A tile with its halo does not fit the model's field of view.

        Example:
            >>> import numpy as np
            >>> from samzoo.zoo import load
            >>> model = load()  # the one that samzoo ships
            >>> rows, columns = np.mgrid[:96, :96]  # four discs, in a grid
            >>> discs = np.hypot(rows % 48 - 24, columns % 48 - 24) < 12
            >>> image = np.where(discs, 200, 20).astype(np.uint8)
            >>> embeddings = model.embed(image)
            >>> embeddings.values.shape
            (1, 256, 64, 64)
        """
        config = self._sized_for(image, diameter)
        return embed_image(
            self.networks, config, image, shrink=True, tile_shape=tile_shape,
            halo=halo, lazy=lazy, progress=progress,
        )  # fmt: skip

    @with_one_adapter
    def embed_tiles(
        self,
        image: Array,
        *,
        diameter: Diameter = None,
        tile_shape: Size | None = None,
        halo: Size | None = None,
        progress: Progress | None = None,
    ) -> ImageEmbeddings:
        """Compute embeddings as ``segment`` does: an image larger than the field is tiled.

        Args:
            image: As in ``embed``.
            diameter: As in ``embed``.
            tile_shape: (height, width) of the inner tiles; by default as few tiles as cover it.
            halo: (height, width) of least context around each tile.
            progress: Called with ("embed", tiles done, tiles in all).

        Returns:
            The embeddings of all tiles.

        Raises:
            ImageError: The image cannot be used.
            InputError: As in ``embed``.
            ShapeError: A tile with its halo does not fit the model's field of view.
        """
        config = self._sized_for(image, diameter)
        return embed_image(
            self.networks, config, image, shrink=False, tile_shape=tile_shape, halo=halo,
            progress=progress,
        )  # fmt: skip

    @with_one_adapter
    def segment(
        self,
        image: Array | ImageEmbeddings,
        *,
        diameter: Diameter = None,
        tile_shape: Size | None = None,
        halo: Size | None = None,
        placements: int = 1,
        average: int = 1,
        mode: Mode = "ais",
        parameters: AisParameters | AmgParameters | ApgParameters | None = None,
        progress: Progress | None = None,
        notes: list[str] | None = None,
    ) -> Labels2D:
        """Segment all instances automatically.

        Args:
            image: As in ``embed``, or embeddings computed before. An image larger than the
                model's field of view is cut into tiles; ``amg`` does so only if the model has a
                declared scale or ``tile_shape`` is given, as ``embed`` does. Embeddings have their
                scale.
            diameter: As in ``embed``.
            tile_shape: (height, width) of the inner tiles.
            halo: (height, width) of least context around each tile.
            placements: Number of placements of the tiles on the image, 1 to 16, for ``ais``: the
                maps are averaged over them. It takes as many times as long, and labels depend less
                on where the tiles lie.
            average: In how many orientations (mirrored, turned by quarters) the model sees each
                tile, 1, 2, 4 or 8, for ``ais``: the maps are averaged over them. It takes as many
                times as long, and labels depend less on how the image lies.
            mode: ``ais`` floods the AIS decoder's maps from their seeds; ``apg`` prompts a point in
                each seed; ``amg`` prompts a grid of points and needs no AIS decoder.
            parameters: Thresholds of the mode; the model's own for ``ais``, the defaults of
                ``AmgParameters`` and ``ApgParameters`` otherwise.
            progress: Called with ("embed", tiles done, tiles in all), and with ("prompt", points
                done, points in all).
            notes: A list to which sentences are added that say why the labels may be wrong: the
                image looks unlike those that the model was trained on, it is saturated, no object
                was found. See ``automatic/doubts.py``.

        Returns:
            Instance labels ``(height, width)`` int32, 0 is background. A constant image has none.

        Raises:
            InputError: The mode is unknown, the mode needs an AIS decoder and the model has none,
                the parameters belong to another mode, the package is too old for the mode, or an
                option of tiles, placements or orientations is given where it would not be used.
            ImageError: The image cannot be used.
            ShapeError: A tile with its halo does not fit the model's field of view.

        Example:
            >>> import numpy as np
            >>> from samzoo.zoo import load
            >>> model = load()  # the one that samzoo ships
            >>> rows, columns = np.mgrid[:96, :96]  # four discs, in a grid
            >>> discs = np.hypot(rows % 48 - 24, columns % 48 - 24) < 12
            >>> image = np.where(discs, 200, 20).astype(np.uint8)
            >>> int(model.segment(image).max())
            4
        """
        return segment_image(
            self.networks, self.config, image, diameter=diameter, tile_shape=tile_shape,
            halo=halo, placements=placements, average=average, mode=mode, parameters=parameters,
            progress=progress, notes=notes,
        )  # fmt: skip

    @with_one_adapter
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
        check_origin(embeddings, self.config)
        return generate_masks(
            self.networks,
            self._seeing(embeddings),
            embeddings,
            parameters or AmgParameters(),
            progress,
        )

    @with_one_adapter
    def ais_maps(self, embeddings: ImageEmbeddings) -> Float3D:
        """Decode the AIS maps of a whole image.

        Args:
            embeddings: From ``embed`` of this model.

        Returns:
            ``(3, height, width)`` float32 in 0..1, in the order of ``AIS_CHANNELS``.

        Raises:
            InputError: The model has no AIS decoder, or another model made the embeddings.
        """
        require_ais(self.config)
        check_origin(embeddings, self.config)
        return decode_maps(self.networks, self._seeing(embeddings), embeddings)

    @with_one_adapter
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

        There is one mask for each object: the single-mask output if a box or several points say
        what is meant, else the multimask output with the best predicted IoU.

        Args:
            embeddings: From ``embed`` of this model.
            points: ``(n, k, 2)`` (x, y) in image pixels, or ``(k, 2)`` for one object.
            point_labels: ``(n, k)``; 1 object, 0 background, -1 padding.
            boxes: ``(n, 4)`` XYXY in image pixels.
            mask_input: low_res_logits ``(n, 1, 4 * grid, 4 * grid)`` of an earlier call.
            progress: Called with ("prompt", objects done, objects in all).

        Returns:
            masks ``(n, height, width)`` bool, iou_predictions ``(n,)`` float32 and low_res_logits
            ``(n, 1, 4 * grid, 4 * grid)`` float32. In a tiled image low_res_logits refer to the
            tile that decoded the object.

        Raises:
            InputError: A prompt cannot be used, or another model made the embeddings.
            ShapeError: A shape is wrong.

        Example:
            >>> import numpy as np
            >>> from samzoo.zoo import load
            >>> model = load()  # the one that samzoo ships
            >>> rows, columns = np.mgrid[:96, :96]  # four discs, in a grid
            >>> discs = np.hypot(rows % 48 - 24, columns % 48 - 24) < 12
            >>> image = np.where(discs, 200, 20).astype(np.uint8)
            >>> embeddings = model.embed(image)
            >>> masks, scores, low_res_logits = model.prompt(embeddings, boxes=[[12, 12, 36, 36]])
            >>> masks.shape, bool(masks[0, 24, 24]), bool(masks[0, 0, 0])
            ((1, 96, 96), True, False)
        """
        parts, scores, low_res = self.prompt_parts(
            embeddings,
            points=points,
            point_labels=point_labels,
            boxes=boxes,
            mask_input=mask_input,
            progress=progress,
        )
        return place_masks(parts, embeddings.original_size), scores, low_res

    @with_one_adapter
    def prompt_parts(
        self,
        embeddings: ImageEmbeddings,
        *,
        points: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        boxes: ArrayLike | None = None,
        mask_input: ArrayLike | None = None,
        progress: Progress | None = None,
    ) -> tuple[list[MaskPart], NDArray[np.float32], Float4D]:
        """Segment as ``prompt`` does, but return masks cut out of an image of any size.

        Only tiles that hold an object are decoded and, with lazy embeddings or those of a store,
        encoded.

        Args:
            embeddings: As in ``prompt``.
            points: As in ``prompt``.
            point_labels: As in ``prompt``.
            boxes: As in ``prompt``.
            mask_input: As in ``prompt``.
            progress: As in ``prompt``.

        Returns:
            For each object the first row, the first column and the mask within its tight box,
            boolean, of shape (0, 0) if it is empty; iou_predictions and low_res_logits as in
            ``prompt``.

        Raises:
            InputError: As in ``prompt``.
            ShapeError: As in ``prompt``.
        """
        check_origin(embeddings, self.config)
        prompts = collect_prompts(
            points=points,
            point_labels=point_labels,
            boxes=boxes,
            mask_input=mask_input,
            image_size=embeddings.original_size,
            mask_side=self.config.mask_side,
        )
        config = self._seeing(embeddings)
        return prompted_masks(self.networks, config, embeddings, prompts, progress)
