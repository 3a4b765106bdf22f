"""The settings of a finetuning run, read from TOML; ``TrainConfig()`` is the paper's recipe.

The shipped presets are in ``presets/``; ``laptop`` is made for one image and a CPU.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from samzoo.runtime.errors import FormatError, NotFoundError
from samzoo.runtime.formats.architecture import (
    AisDecoderConfig,
    LightDecoderConfig,
    UnetrDecoderConfig,
)
from samzoo.runtime.formats.config import AisParameters, Preprocessing
from samzoo.runtime.formats.fields import from_json
from samzoo.runtime.formats.files import read_toml

PRESETS = Path(__file__).parent / "presets"

MAX_SEED = 2**63 - 1
"""Largest seed that torch's and NumPy's generators both take."""

MOST_JITTER = 4.0
"""Largest random factor on a crop's scale (own choice: beyond it no object of most images can be
recognised)."""


@dataclass(frozen=True, kw_only=True)
class Intensities:
    """The probability of each change of a crop's intensities; 0 is off.

    The ranges are in ``data/augmentation.py``.

    Attributes:
        contrast: A factor on all intensities (``CONTRAST``).
        background: Another background level (``BACKGROUND_LEVEL``).
        noise: Gaussian noise (``NOISE``).
        blur: A Gaussian blur (``BLUR``).
        hot_pixels: White pixels (``HOT_PIXELS``).
        disk: One white disk (``DISK``). Nothing is learned under it: it may hide an object, and
            may look like one.
        gradient: Less light towards one side (``GRADIENT``).
        border: A black border (``BORDER``). What it hides is background.
        colour: Other strengths of stains, and of colours, in crops with colours (``STAIN``).
    """

    contrast: float = 0.0
    background: float = 0.0
    noise: float = 0.0
    blur: float = 0.0
    hot_pixels: float = 0.0
    disk: float = 0.0
    gradient: float = 0.0
    border: float = 0.0
    colour: float = 0.0

    def __post_init__(self) -> None:
        for name, probability in vars(self).items():
            if not 0 <= probability <= 1:
                raise FormatError(
                    f"intensities.{name}: allowed is a probability, 0 to 1, found {probability}"
                )


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run's settings. Defaults: PEFT-SAM (MIDL 2025), appendix E.2, micro-sam's ``train_sam``.

    Attributes:
        hyperparameters: The method's settings; see ``samzoo.training.methods``.
        epochs: Largest number of epochs.
        steps_per_epoch: Steps between two validations; the paper pads short loaders to 50.
        early_stopping: Epochs without a better validation score before training stops; 0 never
            stops.
        max_minutes: Training stops after the epoch in which this time is over; 0 is no limit. Time
            counts over all resumed sessions.
        learning_rate: Learning rate of the encoder's delta, prompt encoder and mask decoder
            (AdamW).
        ais_learning_rate: Learning rate of the AIS decoder, which starts from random weights.
        weight_decay: AdamW's weight decay.
        scheduler: ``plateau`` multiplies by 0.9 after 3 epochs without progress (micro-sam);
            ``cosine`` falls to 1 % over the epochs, or over ``max_minutes``.
        ema_decay: Decay of an exponential moving average of the weights, which is validated and
            kept; 0 is off.
        batch_size: Crops that pass the encoder together.
        accumulate: Batches in a step; the gradient is the mean over all their crops.
        recompute_blocks: Keep no intermediate results of the encoder's blocks; the backward pass
            computes them again. It takes less memory and about a fourth more time in the encoder.
            ``auto`` does so where the forecast of ``samzoo plan`` is more than what is free, and
            returns freed memory where there is little. Results are equal to the last bit.
        n_objects: Number of objects in a crop.
        n_sub_iteration: Number of rounds in a step: the first prompt and its corrections.
        learned_rounds: Compute gradients in only this many rounds: the first, the last, and a
            choice of those between, drawn anew in each step; 0 learns from all (the paper).
        corrections_after: Fraction of the run, by steps or time, that learns from first prompts
            alone. It allows about twice the steps while there is little to correct.
        freeze_encoder_after: Fraction of the run after which the encoder is frozen, at its average
            if there is one, and only the decoders train. Embeddings of a fixed set of crops are
            then computed once, so that a step needs no encoder pass. 1 never freezes.
        cached_crops: Crops for each image, or for each part of a larger one that is as large as the
            model's input, if the method freezes the first half of the encoder's blocks or more, and
            from ``freeze_encoder_after`` on. What the frozen part makes of each is computed once. 0
            computes it in every step, for crops that lie anywhere.
        mask_prob: Probability that a correction also gets the previous logits as mask input.
        box_distortion_factor: Largest jitter of a box side, as a fraction of its length.
        first_points: Largest number of points of a first prompt: from step to step 1 to so many, or
            a box with up to one fewer. The further points may be negative. A model that only sees
            single points gives worse masks for several.
        point_output: ``multimask`` trains the best of three masks on a first point (the paper);
            ``single`` trains one mask for all prompts, which takes fewer steps if a point is not
            ambiguous. It becomes part of the model.
        ais_decoder: The AIS decoder to train: the light one, micro-sam's, or None for prompts
            only.
        augmentation: ``flip`` mirrors (the paper), ``dihedral`` also turns by 90 degrees.
        intensity_jitter: Largest log2 of a random exponent on intensities; 0 is off.
        intensities: Probability of each other change of a crop's intensities; all 0 by default.
        precision: Precision of training, validation and threshold search alike. ``auto`` is
            ``bf16-mixed`` on GPUs and CPUs that multiply matrices of bfloat16 (AMX), else
            ``32-true``; a run keeps its first choice when it is resumed.
        seed: Seed of all random numbers.
        preprocessing: Replaces the base's preprocessing if given; it becomes part of the adapter.
        percentiles: Intensities are stretched between these two percentiles of the whole image; it
            becomes part of the adapter. None does as the base does.
        object_diameter: Sets the scale so that the median training object, as a circle of its
            area, has this diameter in model pixels, and declares it; 0 keeps the preprocessing's
            scale.
        scale_by_image: Bring each image, also of validation, to ``object_diameter`` by its own
            median object, and declare the diameter, so that users can give that of their objects.
            Without ``object_diameter`` it is the median of all training objects at the scale of
            the preprocessing.
        scale_jitter: Largest factor by which a crop is enlarged or shrunk at random; 1 is off.
        ais: AIS thresholds to start from; ``search_ais`` replaces them by the best on validation.
        search_ais: Search the AIS thresholds when training ends, on the images that validate after
            an epoch.
        validation_tasks: The tasks whose mean mSA chooses the best checkpoint.
        min_object_size: Least size in pixels of the objects that count in validation.
        validation_images: Most images that validate after an epoch, always the same ones, from as
            many groups as can be; 0 is all. At the end all score the best checkpoint.
        validation_objects: Most objects of an image that are prompted after an epoch; 0 is all.
    """

    hyperparameters: dict[str, Any] = field(default_factory=dict)
    epochs: int = 100
    steps_per_epoch: int = 50
    early_stopping: int = 10
    max_minutes: float = 0.0
    learning_rate: float = 1e-5
    ais_learning_rate: float = 1e-5
    weight_decay: float = 0.01
    scheduler: Literal["plateau", "cosine"] = "plateau"
    ema_decay: float = 0.0
    batch_size: int = 1
    accumulate: int = 1
    recompute_blocks: bool | Literal["auto"] = False
    n_objects: int = 25
    n_sub_iteration: int = 8
    learned_rounds: int = 0
    corrections_after: float = 0.0
    freeze_encoder_after: float = 1.0
    cached_crops: int = 8
    mask_prob: float = 0.5
    box_distortion_factor: float = 0.025
    first_points: int = 1
    point_output: Literal["multimask", "single"] = "multimask"
    ais_decoder: AisDecoderConfig | None = field(default_factory=LightDecoderConfig)
    augmentation: Literal["none", "flip", "dihedral"] = "flip"
    intensity_jitter: float = 0.0
    intensities: Intensities = field(default_factory=Intensities)
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    seed: int = 0
    preprocessing: Preprocessing | None = None
    percentiles: tuple[float, float] | None = None
    object_diameter: float = 0.0
    scale_by_image: bool = False
    scale_jitter: float = 1.0
    ais: AisParameters = field(default_factory=AisParameters)
    search_ais: bool = True
    validation_tasks: tuple[str, ...] = ("ais", "point", "box")
    min_object_size: int = 20
    validation_images: int = 0
    validation_objects: int = 0

    def __post_init__(self) -> None:
        for name in (
            "epochs", "steps_per_epoch", "batch_size", "accumulate", "n_objects",
            "n_sub_iteration", "first_points",
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise FormatError(f"{name}: must be at least 1, found {getattr(self, name)}")
        for name in ("learning_rate", "ais_learning_rate"):
            if not 0 < getattr(self, name) < 1:
                raise FormatError(f"{name}: allowed is 0 to 1, found {getattr(self, name)}")
        for name in ("mask_prob", "ema_decay", "corrections_after", "freeze_encoder_after"):
            if not 0 <= getattr(self, name) <= 1:
                raise FormatError(f"{name}: allowed is 0 to 1, found {getattr(self, name)}")
        for name in (
            "early_stopping", "max_minutes", "weight_decay", "intensity_jitter", "seed",
            "learned_rounds", "object_diameter", "cached_crops", "validation_images",
            "validation_objects",
        ):  # fmt: skip
            if getattr(self, name) < 0:
                raise FormatError(f"{name}: must not be negative, found {getattr(self, name)}")
        if not 0 <= self.box_distortion_factor < 0.5:
            raise FormatError(
                f"box_distortion_factor: allowed is 0 to 0.5, found {self.box_distortion_factor}"
            )
        if not 1 <= self.scale_jitter <= MOST_JITTER:
            raise FormatError(
                f"scale_jitter: allowed is 1 (off) to {MOST_JITTER:g}, found {self.scale_jitter}"
            )
        if self.percentiles is not None:
            if self.preprocessing is not None:
                raise FormatError(
                    "percentiles and preprocessing: give only one of them; preprocessing has "
                    "percentiles of its own"
                )
            if not 0 <= self.percentiles[0] < self.percentiles[1] <= 100:
                raise FormatError(
                    "percentiles: expected 0 <= low < high <= 100, found "
                    f"{self.percentiles[0]}, {self.percentiles[1]}"
                )
        if self.object_diameter and self.preprocessing and self.preprocessing.scale is not None:
            raise FormatError("object_diameter and preprocessing.scale: give only one of them")
        if self.seed > MAX_SEED:
            raise FormatError(f"seed: allowed is 0 to {MAX_SEED}, found {self.seed}")
        if not self.validation_tasks:
            raise FormatError("validation_tasks: name at least one task")

    def with_ais_decoder(self, name: Literal["light", "unetr", "none"]) -> TrainConfig:
        """Return the same settings with another AIS decoder, of its kind's default size.

        Without a decoder ``ais`` is removed from the validation tasks, and settings of the decoder
        go back to their defaults.

        Args:
            name: ``light``, micro-sam's ``unetr``, or ``none``.

        Returns:
            The changed settings.
        """
        decoders: dict[str, AisDecoderConfig | None]
        decoders = {"light": LightDecoderConfig(), "unetr": UnetrDecoderConfig(), "none": None}
        tasks = tuple(t for t in self.validation_tasks if name != "none" or t != "ais")
        if name == "none":
            defaults = TrainConfig()
            return dataclasses.replace(
                self, ais_decoder=None, validation_tasks=tasks, ais=defaults.ais,
                ais_learning_rate=defaults.ais_learning_rate,
            )  # fmt: skip
        return dataclasses.replace(self, ais_decoder=decoders[name], validation_tasks=tasks)

    @classmethod
    def read(cls, name_or_path: str) -> TrainConfig:
        """Read a preset by name or a TOML file by path; missing keys keep their defaults.

        Args:
            name_or_path: A preset's name, or the path of a TOML file.

        Returns:
            The settings.

        Raises:
            NotFoundError: There is neither a preset nor a file of that name.
            FormatError: The file is not TOML, or a key is unknown, or a value is out of range.
        """
        path = config_file(name_or_path)
        value = read_toml(path, what="a training config")
        return from_json(cls, value, where=str(path))


def config_file(name_or_path: str) -> Path:
    """Return the file of a preset, or the path that was given.

    Raises:
        NotFoundError: There is neither a preset nor a file of that name.
    """
    path = PRESETS / f"{name_or_path}.toml"
    if not name_or_path.isidentifier() or not path.is_file():
        path = Path(name_or_path)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in PRESETS.glob("*.toml")))
        raise NotFoundError(f"{name_or_path}: neither a file nor a preset; presets: {known}")
    return path
