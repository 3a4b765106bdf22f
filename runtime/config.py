"""What a model is, in numbers: the dataclasses behind ``config.json``.

In: a JSON object. Out: frozen, checked dataclasses. Read by every part; no other module defines an
image size, a pixel mean, a threshold or a channel order.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from .errors import FormatError, shown
from .files import read_json

MODEL_FORMAT = "samzoo-model"
MODEL_VERSION = 1

AIS_CHANNELS = ("foreground", "center_distances", "boundary_distances")
"""Channel order of the AIS decoder's output; boundary distances are inverted (1 at the border)."""

SAM_PIXEL_MEAN = (123.675, 116.28, 103.53)
SAM_PIXEL_STD = (58.395, 57.12, 57.375)
"""ImageNet statistics on 0..255. Source: segment-anything, ``build_sam.py``."""

MASK_THRESHOLD = 0.0
"""A mask is where the logits lie above this. Source: segment-anything, ``modeling/sam.py``."""

MAX_IMAGE_SIZE = 4096
"""Largest side that an encoder may see: four times SAM's (own choice: configs are not trusted)."""

MAX_SMOOTHING = 100
"""Largest sigma in pixels: more would smooth whole objects away (own choice)."""

EMBEDDING_CHANNELS = 256
"""Channels of the image embeddings and of the mask decoder in every SAM."""


@dataclass(frozen=True, kw_only=True)
class VitConfig:
    """Segment-anything's ``ImageEncoderViT`` in numbers. Defaults: ViT-B."""

    type: Literal["vit"] = "vit"
    image_size: int = 1024
    patch_size: int = 16
    embed_dim: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_ratio: float = 4.0
    window_size: int = 14
    global_attn_indexes: tuple[int, ...] = (2, 5, 8, 11)

    def __post_init__(self) -> None:
        _positive(
            self, "image_size", "patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio",
            "window_size",
        )  # fmt: skip
        if self.embed_dim % self.num_heads:
            raise FormatError(
                f"image_encoder: embed_dim {self.embed_dim} is not a multiple of "
                f"num_heads {self.num_heads}"
            )
        _check_sides(self.image_size, self.grid)

    @property
    def grid(self) -> int:
        """Side of the image embeddings."""
        return self.image_size // self.patch_size


@dataclass(frozen=True, kw_only=True)
class TinyVitConfig:
    """TinyViT as MobileSAM and LiteMedSAM use it. Defaults: LiteMedSAM at 256 pixels.

    ``patch_kernel`` 3 and ``patch_stride`` 2 make MobileSAM's stem (1024 pixels), 1 and 1
    LiteMedSAM's. ``strides`` are those of the three patch mergings.
    """

    type: Literal["tiny_vit"] = "tiny_vit"
    image_size: int = 256
    patch_kernel: int = 1
    patch_stride: int = 1
    embed_dims: tuple[int, ...] = (64, 128, 160, 320)
    depths: tuple[int, ...] = (2, 2, 6, 2)
    num_heads: tuple[int, ...] = (2, 4, 5, 10)
    window_sizes: tuple[int, ...] = (7, 7, 14, 7)
    strides: tuple[int, ...] = (2, 2, 1)
    mlp_ratio: float = 4.0
    mbconv_expand_ratio: float = 4.0

    def __post_init__(self) -> None:
        _positive(
            self, "image_size", "patch_kernel", "patch_stride", "embed_dims", "depths",
            "num_heads", "window_sizes", "strides", "mlp_ratio", "mbconv_expand_ratio",
        )  # fmt: skip
        stages = len(self.embed_dims)
        for name, expected in (
            ("depths", stages), ("num_heads", stages), ("window_sizes", stages),
            ("strides", stages - 1),
        ):  # fmt: skip
            if len(getattr(self, name)) != expected:
                raise FormatError(
                    f"image_encoder.{name}: expected {expected} numbers for {stages} stages, "
                    f"found {len(getattr(self, name))}"
                )
        _check_sides(self.image_size, self.grid)

    @property
    def grid(self) -> int:
        """Side of the image embeddings."""
        side = self.image_size // self.patch_stride**2
        for stride in self.strides:
            side //= stride
        return side


EncoderConfig = VitConfig | TinyVitConfig


@dataclass(frozen=True, kw_only=True)
class MaskDecoderConfig:
    """Prompt encoder and mask decoder in numbers. Source: segment-anything, ``build_sam.py``.

    ``point_output`` says which mask answers a single point: ``multimask`` takes the best of the
    three by predicted IoU, since SAM's points are ambiguous; ``single`` takes the first output, as
    for all other prompts, for a model finetuned on one kind of object.
    """

    mask_in_chans: int = 16
    num_multimask_outputs: int = 3
    transformer_depth: int = 2
    transformer_mlp_dim: int = 2048
    transformer_num_heads: int = 8
    iou_head_depth: int = 3
    iou_head_hidden_dim: int = 256
    point_output: Literal["multimask", "single"] = "multimask"


@dataclass(frozen=True, kw_only=True)
class LightDecoderConfig:
    """The light AIS decoder: ``channels`` at the embedding's grid, then at 2x, then at 4x."""

    type: Literal["light"] = "light"
    channels: tuple[int, int, int] = (128, 64, 32)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """All networks of a model."""

    image_encoder: EncoderConfig
    mask_decoder: MaskDecoderConfig = field(default_factory=MaskDecoderConfig)
    ais_decoder: LightDecoderConfig | None = None


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How an image becomes the encoder's input, in this order.

    1. ``intensity``: ``none`` keeps 8-bit images and stretches others from their minimum and
       maximum to 0..255; ``min_max`` always stretches; ``percentile`` stretches between
       ``percentiles`` and clips. Statistics are of the whole image, over all channels.
    2. Resize by ``scale`` (model pixels per image pixel), or the longest side to the network's
       image size where ``scale`` is None.
    3. Inside the encoder graph: ``gamma`` on the 0..1 range, then ``(x - pixel_mean) /
       pixel_std``, then zero padding at the right and bottom.
    """

    intensity: Literal["none", "min_max", "percentile"] = "none"
    percentiles: tuple[float, float] = (0.0, 100.0)
    gamma: float = 1.0
    scale: float | None = None
    pixel_mean: tuple[float, float, float] = SAM_PIXEL_MEAN
    pixel_std: tuple[float, float, float] = SAM_PIXEL_STD

    def __post_init__(self) -> None:
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise FormatError(
                f"preprocessing.percentiles: expected 0 <= low < high <= 100, found {low}, {high}"
            )
        if self.gamma <= 0:
            raise FormatError(f"preprocessing.gamma: must be positive, found {self.gamma}")
        if self.scale is not None and not 0.01 <= self.scale <= 100:
            raise FormatError(
                f"preprocessing.scale: allowed is 0.01 to 100 or null, found {self.scale}"
            )
        if min(self.pixel_std) <= 0:
            raise FormatError(f"preprocessing.pixel_std: must be positive, found {self.pixel_std}")


@dataclass(frozen=True, kw_only=True)
class AisParameters:
    """Thresholds of the AIS post-processing. Defaults: micro-sam 1.8.14's.

    Source: micro-sam 1.8.14, ``instance_segmentation.py``. Smoothings are Gaussian sigmas in
    pixels of the image, ``min_size`` is in pixels.
    """

    foreground_threshold: float = 0.5
    center_distance_threshold: float = 0.5
    boundary_distance_threshold: float = 0.5
    foreground_smoothing: float = 1.0
    distance_smoothing: float = 1.6
    min_size: int = 0

    def __post_init__(self) -> None:
        for name in ("foreground_smoothing", "distance_smoothing"):
            if not 0 <= getattr(self, name) <= MAX_SMOOTHING:
                raise FormatError(
                    f"ais.{name}: allowed is 0 to {MAX_SMOOTHING}, found {getattr(self, name)}"
                )
        if self.min_size < 0:
            raise FormatError(f"ais.min_size: must not be negative, found {self.min_size}")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The content of a base's or model's ``config.json``.

    Attributes:
        architecture: The networks in numbers.
        preprocessing: From image to encoder input.
        ais: Thresholds of the automatic segmentation.
        weights_digest: Identity of ``model.safetensors``; see ``docs/formats.md``.
        source: Where the weights came from: names, hashes, licence, method, hyperparameters.
    """

    architecture: Architecture
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    ais: AisParameters = field(default_factory=AisParameters)
    weights_digest: str = ""
    source: dict[str, Any] = field(default_factory=dict)

    @property
    def image_size(self) -> int:
        """Side of the square that the encoder sees, in pixels."""
        return self.architecture.image_encoder.image_size

    @property
    def grid(self) -> int:
        """Side of the image embeddings."""
        return self.architecture.image_encoder.grid

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object, with format name and version first."""
        return {"format": {"name": MODEL_FORMAT, "version": MODEL_VERSION}, **to_json(self)}

    @classmethod
    def read(cls, path: Path) -> ModelConfig:
        """Read and check a ``config.json``.

        Raises:
            NotFoundError: There is no such file.
            FormatError: Wrong format, newer version, unknown key or a value out of range.
        """
        value = read_json(path)
        check_format(value, MODEL_FORMAT, MODEL_VERSION, where=str(path))
        value.pop("format")
        return from_json(cls, value, where=str(path))


def check_format(value: Mapping[str, Any], name: str, version: int, *, where: str) -> None:
    """Check the ``format`` field of a config or manifest.

    Raises:
        FormatError: Another format, or a version this samzoo cannot read.
    """
    found = value.get("format")
    if not isinstance(found, Mapping) or found.get("name") != name:
        raise FormatError(f"{where}: format: expected {name!r}, found {shown(found)}")
    number = found.get("version")
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise FormatError(f"{where}: format.version: expected a number, found {shown(number)}")
    if number > version:
        raise FormatError(
            f"{where}: format.version is {number}, this samzoo reads up to {version}; "
            "run: pip install --upgrade samzoo"
        )


def to_json(value: Any) -> Any:
    """Turn (nested) dataclasses into JSON values; tuples become lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    return value


T = TypeVar("T")


def from_json(kind: type[T], value: Any, *, where: str) -> T:
    """Build a dataclass from a JSON object; unknown keys and wrong types are errors.

    Raises:
        FormatError: Names the file, the field, what was found and what is allowed.
    """
    result: T = _parse(kind, value, where)
    return result


def _parse(kind: Any, value: Any, where: str) -> Any:
    origin = get_origin(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        return _parse_union(get_args(kind), value, where)
    if origin is Literal:
        if value not in get_args(kind):
            allowed = ", ".join(repr(choice) for choice in get_args(kind))
            raise FormatError(f"{where}: found {shown(value)}, allowed: {allowed}")
        return value
    if origin is tuple:
        return _parse_tuple(get_args(kind), value, where)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise FormatError(f"{where}: expected an object, found {shown(value)}")
        return dict(value)
    if dataclasses.is_dataclass(kind):
        return _parse_dataclass(kind, value, where)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 10**30 else float("inf")
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise FormatError(f"{where}: expected {kind.__name__}, found {shown(value)}")
    if kind is float and not -1e30 < value < 1e30:  # also false for NaN
        raise FormatError(f"{where}: expected a finite number, found {value}")
    return value


def _parse_union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    if len(kinds) == 1:
        return _parse(kinds[0], value, where)
    # Several dataclasses: each has a `type` field with one allowed value.
    by_type = {get_args(typing.get_type_hints(kind)["type"])[0]: kind for kind in kinds}
    found = value.get("type") if isinstance(value, Mapping) else None
    if found not in by_type:
        raise FormatError(f"{where}.type: found {shown(found)}, allowed: {', '.join(by_type)}")
    return _parse(by_type[found], value, where)


def _parse_tuple(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise FormatError(f"{where}: expected a list, found {shown(value)}")
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise FormatError(f"{where}: expected {len(kinds)} numbers, found {len(value)}")
    return tuple(
        _parse(kind, item, f"{where}[{index}]")
        for index, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _parse_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise FormatError(f"{where}: expected an object, found {shown(value)}")
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(value) - set(hints))
    if unknown:
        raise FormatError(
            f"{where}: unknown key {shown(unknown[0])}, allowed: {', '.join(sorted(hints))}"
        )
    arguments = {
        name: _parse(hints[name], item, f"{where}: {name}" if ":" not in where else
                     f"{where}.{name}")
        for name, item in value.items()
    }  # fmt: skip
    try:
        return kind(**arguments)
    except TypeError as error:
        raise FormatError(f"{where}: {error}") from error
    except FormatError as error:
        raise FormatError(f"{where.split(':')[0]}: {error}") from error


def _positive(config: object, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if any(number <= 0 for number in (value if isinstance(value, tuple) else (value,))):
            raise FormatError(f"image_encoder.{name}: must be positive, found {value}")


def _check_sides(image_size: int, grid: int) -> None:
    if image_size > MAX_IMAGE_SIZE or grid < 1:
        raise FormatError(
            f"image_encoder.image_size: found {image_size}, which makes embeddings of {grid} x "
            f"{grid}; allowed are sizes up to {MAX_IMAGE_SIZE} and embeddings from 1 x 1"
        )
