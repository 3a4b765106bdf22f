"""From a base to the model that trains: with an AIS decoder, and with the method attached.

In: a base folder, a method, settings. Out: a ``Sam`` in which only the method's weights and the
decoders train.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.prefixes import AIS_DECODER_PREFIX
from samzoo.training.config import TrainConfig
from samzoo.training.data.annotated import AnnotatedImage
from samzoo.training.data.object_size import declared
from samzoo.training.methods import Method, mask_decoder_lora
from samzoo.training.methods.method import S
from samzoo.training.networks.sam import Sam, load_sam

from .precision import Precision


def finetunable(
    base: Path,
    method: Method[S],
    settings: S,
    config: TrainConfig,
    annotated: Sequence[AnnotatedImage],
    precision: Precision,
) -> tuple[ModelConfig, Sam]:
    """Load the base, add an AIS decoder if the config has one, and attach the method.

    Args:
        base: Folder with ``config.json`` and ``model.safetensors``.
        method: The method that makes the encoder trainable.
        settings: The method's settings.
        config: ``ais_decoder``, ``point_output``, ``preprocessing`` and ``ais`` go into the
            model's config. A base that has an AIS decoder keeps its own, unless ``ais_decoder``
            is None.
        annotated: The training images; the size of their objects sets the scale.
        precision: The run's precision.

    Returns:
        The base's own config, and the model in eval mode.

    Raises:
        NotFoundError: A file of the base is missing.
        FormatError: The base is damaged.
    """
    loaded = load_sam(base)
    base_config = loaded.config
    architecture = base_config.architecture
    preprocessing = config.preprocessing or base_config.preprocessing
    if config.percentiles is not None:
        preprocessing = dataclasses.replace(
            preprocessing, intensity="percentile", percentiles=config.percentiles
        )
    fresh = architecture.ais_decoder is None or config.ais_decoder is None
    if fresh:
        architecture = dataclasses.replace(architecture, ais_decoder=config.ais_decoder)
    architecture = dataclasses.replace(
        architecture,
        mask_decoder=dataclasses.replace(
            architecture.mask_decoder, point_output=config.point_output
        ),
    )
    model_config = dataclasses.replace(
        base_config,
        architecture=architecture,
        preprocessing=declared(
            preprocessing,
            annotated,
            image_size=base_config.image_size,
            object_diameter=config.object_diameter,
            by_image=config.scale_by_image,
        ),
        ais=config.ais,
    )
    sam = Sam(model_config)
    state = {
        name: value
        for name, value in loaded.state_dict().items()
        if not (fresh and name.startswith(AIS_DECODER_PREFIX))
    }
    sam.load_state_dict({**sam.state_dict(), **state})
    # The model stays in eval mode, so that BatchNorm keeps its published statistics: batches of
    # one image have none worth learning (own choice). SAM has no dropout. See
    # ``networks/acting.py``.
    sam.eval()
    method.attach(sam.image_encoder, architecture, settings)
    mask_decoder_lora.attach(sam.mask_decoder, settings)
    sam.config = dataclasses.replace(
        model_config, architecture=method.extended(architecture, settings)
    )
    if precision == "bf16-mixed":
        # oneDNN's bfloat16 convolutions want this layout: TinyViT takes 1.2 s instead of 12.8 s
        # forward and backward on two cores. In float32 the layout costs time.
        sam.image_encoder.to(memory_format=torch.channels_last)
    return base_config, sam
