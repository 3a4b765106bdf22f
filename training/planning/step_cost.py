"""The cost of a training step, from its networks on tensors without values.

In: a base's config, a method, settings. Out: bytes and operations of each part of a step. No weight
is read and nothing is computed, so a ViT-H costs no memory.

The parts are those of ``learning/learner.py``, which a test compares: the frozen steps of the
encoder, the trained ones, the prompt rounds, the AIS decoder, and the way back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from samzoo.runtime.formats.architecture import EMBEDDING_CHANNELS
from samzoo.runtime.formats.config import ModelConfig
from samzoo.training.config import TrainConfig
from samzoo.training.encoders.steps import frozen_steps, run_steps
from samzoo.training.learning.objectives import distance_loss, mask_loss
from samzoo.training.learning.precision import Precision
from samzoo.training.methods import Method, get_method, mask_decoder_lora
from samzoo.training.networks.acting import dropout_acting
from samzoo.training.networks.sam import Sam

from .ledger import Ledger

MOMENTS = 2
"""Tensors that AdamW keeps for each trained one."""

PACKED = 1 / 8 + 1 / 256
"""Size of a weight in 4 bits, with its scales, as a part of its size in float32."""


@dataclass(frozen=True)
class Work:
    """What some part of a step computes.

    Attributes:
        flops: Floating point operations of matrix products and convolutions.
        moved: Bytes that all operations read and write.
    """

    flops: float
    moved: float

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.moved + other.moved)

    def __mul__(self, factor: float) -> Work:
        return Work(self.flops * factor, self.moved * factor)


@dataclass(frozen=True)
class StepCost:
    """The cost of a step, and of what lies between steps.

    Attributes:
        weights: Bytes of all weights as they are read.
        trained: Bytes of the trained weights.
        peak: Most bytes in use during a step: weights, the optimiser's moments, gradients and
            intermediate results.
        frozen: Work of the encoder's steps before the first one that trains.
        rest: Work of everything else.
    """

    weights: int
    trained: int
    peak: int
    frozen: Work
    rest: Work


def cost_of_step(
    base: ModelConfig,
    row: Method[Any],
    settings: Any,
    config: TrainConfig,
    *,
    precision: Precision = "32-true",
    stored: bool = False,
) -> StepCost:
    """Count what a step needs after the first ones, when all of the optimiser's moments exist.

    Args:
        base: The base's config.
        row: The method.
        settings: The method's settings.
        config: Objects, rounds, batch, AIS decoder, ``recompute_blocks`` and ``ema_decay`` count;
            ``recompute_blocks = "auto"`` counts as off.
        precision: The run's precision.
        stored: Whether the frozen steps' results are stored, so that a step begins from them.

    Raises:
        FormatError: The encoder lacks one of the blocks that the settings name.
    """
    ledger = Ledger()
    with FakeTensorMode(allow_non_fake_inputs=True), ledger:
        sam, saved = _finetunable(base, row, settings, config)
        weights = ledger.live  # as they are read, before any of them is packed
        trained = [p for p in sam.parameters() if p.requires_grad]
        kept = [
            torch.zeros_like(p) for p in trained for _ in range(MOMENTS + bool(config.ema_decay))
        ]
        step = _Step(ledger, sam, config, precision)
        frozen, start = step.frozen()
        rest = step.learn(start)
        peak = (rest.peak if stored else max(rest.peak, frozen.peak)) - saved
        size = sum(p.numel() * p.element_size() for p in trained)
        del kept
    return StepCost(weights, size, peak, frozen.work, rest.work)


@dataclass(frozen=True)
class _Part:
    peak: int
    work: Work


class _Step:
    """A step's parts, in the order in which ``Learner`` runs them."""

    def __init__(self, ledger: Ledger, sam: Sam, config: TrainConfig, precision: Precision) -> None:
        self._ledger, self._sam, self._config = ledger, sam, config
        self._steps = sam.encoder_steps()
        self._count = frozen_steps(self._steps)
        lower = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision)
        self._autocast: Callable[[], AbstractContextManager[Any]] = (
            nullcontext if lower is None else lambda: torch.autocast("cpu", lower)
        )

    def frozen(self) -> tuple[_Part, Tensor]:
        """Compute the frozen steps, one crop after the other."""
        side, outputs = self._sam.config.image_size, []
        self._ledger.start()
        for _ in range(self._config.batch_size):
            image = torch.zeros(1, 3, side, side)
            with torch.no_grad(), self._autocast():
                x = run_steps(self._steps[: self._count], self._sam.preprocess(image))
            outputs.append(x.float())
            del image, x
        return self._part(self._config.accumulate), torch.cat(outputs)

    def learn(self, start: Tensor) -> _Part:
        """Compute the rest of a step, and all gradients."""
        config, sam = self._config, self._sam
        self._ledger.start()
        with dropout_acting(sam.image_encoder), self._autocast():
            embeddings = run_steps(
                self._steps[self._count :], start, recompute=config.recompute_blocks is True
            ).float()
        leaf = embeddings.detach().requires_grad_(embeddings.requires_grad)
        encoder = self._part(config.accumulate)
        self._ledger.start()
        for i in range(config.batch_size):
            self._prompts(leaf[i : i + 1])
        rounds = config.learned_rounds or config.n_sub_iteration
        # Two rounds were computed: a first one and a later one. Those that nobody learns from
        # cost a third.
        counted = (rounds + (config.n_sub_iteration - rounds) / 3) / 2
        prompts = self._part(config.accumulate * counted)
        self._ledger.start()
        if sam.ais_decoder is not None:
            for i in range(config.batch_size):
                self._ais_loss(leaf[i : i + 1])
        if leaf.grad is not None:
            torch.autograd.backward(embeddings, leaf.grad)
        rest = self._part(config.accumulate)
        parts = (encoder, prompts, rest)
        work = encoder.work + prompts.work + rest.work
        return _Part(max(part.peak for part in parts), work)

    def _prompts(self, embeddings: Tensor) -> None:
        """Compute a first round and a last one, which has most points and a mask input."""
        sam, config = self._sam, self._config
        n, side = config.n_objects, sam.config.image_size
        target = torch.zeros(n, 1, side, side)
        several = sam.config.architecture.mask_decoder.point_output == "multimask"
        tokens: Any = sam.prompt_encoder
        mask_input: Tensor | None = None
        for last in (False, True):
            tokens.count = 2 * config.n_sub_iteration if last else 2
            with self._autocast():
                logits, iou = sam.decode(
                    embeddings, mask_input=mask_input, multimask_output=several and not last
                )
            loss, _ = mask_loss(logits.float(), iou.float(), target)
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own
            mask_input = logits.detach()[:, :1].float()
            del logits, iou, loss

    def _ais_loss(self, embeddings: Tensor) -> None:
        decoder: Any = self._sam.ais_decoder
        side = self._sam.config.image_size
        with self._autocast():
            maps: Tensor = decoder(embeddings)
        if maps.shape[-1] != side:
            maps = nn.functional.interpolate(
                maps, size=(side, side), mode="bilinear", align_corners=False
            )
        loss = distance_loss(maps.float(), torch.zeros(1, 3, side, side))
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own

    def _part(self, times: float) -> _Part:
        ledger = self._ledger
        return _Part(ledger.peak, Work(ledger.flops, ledger.moved) * times)


class _Tokens(nn.Module):
    """A prompt encoder that is given numbers of tokens instead of points.

    Segment-anything's chooses entries by their values, and tensors without values have none.
    """

    count = 2

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder

    def get_dense_pe(self) -> Tensor:
        positions: Tensor = self.encoder.get_dense_pe()
        return positions

    def forward(
        self, points: None, boxes: None, masks: Tensor | None, n: int = 0
    ) -> tuple[Tensor, Tensor]:
        n = self.objects if masks is None else masks.shape[0]
        grid = self.encoder.image_embedding_size
        sparse = torch.zeros(n, self.count, EMBEDDING_CHANNELS)
        sparse = sparse + self.encoder.point_embeddings[0].weight
        if masks is not None:
            return sparse, self.encoder._embed_masks(masks)
        dense = self.encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
        return sparse, dense.expand(n, -1, *grid)

    objects = 1


def _finetunable(
    base: ModelConfig, row: Method[Any], settings: Any, config: TrainConfig
) -> tuple[Sam, int]:
    """Build what ``preparation.finetunable`` builds, without weights.

    Returns:
        The model, and how many bytes its weights take less than here, because they are packed.
    """
    architecture = base.architecture
    if architecture.ais_decoder is None or config.ais_decoder is None:
        architecture = dataclasses.replace(architecture, ais_decoder=config.ais_decoder)
    decoder = dataclasses.replace(architecture.mask_decoder, point_output=config.point_output)
    architecture = dataclasses.replace(architecture, mask_decoder=decoder)
    sam = Sam(dataclasses.replace(base, architecture=architecture)).eval()
    saved = 0
    if row.quantized is None:
        row.attach(sam.image_encoder, architecture, settings)
    else:
        linears = [m for m in sam.image_encoder.modules() if type(m) is nn.Linear]
        sizes = [layer.weight.numel() * layer.weight.element_size() for layer in linears]
        # One weight is unpacked at a time.
        saved = ceil(sum(sizes) * (1 - PACKED)) - max(sizes, default=0)
        get_method(row.quantized.of).attach(sam.image_encoder, architecture, settings)
    mask_decoder_lora.attach(sam.mask_decoder, settings)
    tokens = _Tokens(sam.prompt_encoder)
    tokens.objects = config.n_objects
    sam.prompt_encoder = tokens
    return sam, saved
