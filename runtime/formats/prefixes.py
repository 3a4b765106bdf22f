"""How the names of a SAM's tensors begin, network by network.

Source: the module names of segment-anything's ``Sam``; ``ais_decoder`` is samzoo's own.
"""

from __future__ import annotations

ENCODER_PREFIX = "image_encoder."
"""Finetuning methods name tensors without it where they see the encoder alone (``attach`` and
``trainable``), and with it in files (``fold``)."""

PROMPT_ENCODER_PREFIX = "prompt_encoder."
MASK_DECODER_PREFIX = "mask_decoder."
AIS_DECODER_PREFIX = "ais_decoder."

DECODER_PREFIXES = (PROMPT_ENCODER_PREFIX, MASK_DECODER_PREFIX)
"""What every adapter holds in full, besides an AIS decoder."""
