"""The two training objectives: interactive segmentation and automatic segmentation.

In: image embeddings of a crop, its labels and AIS targets. Out: losses. The gradient of each is
computed as soon as it is known, so that memory holds one prompt round at a time.

Source: Archit et al., micro-sam (2025), and Teuber et al., PEFT-SAM (MIDL 2025), with their
released code: iterative prompting with Dice and IoU losses, distance maps with masked Dice.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from samzoo.runtime.formats.arrays import Labels2D
from samzoo.runtime.images.label_arrays import IGNORED
from samzoo.training.networks.sam import Sam

from .simulated_prompts import InteractiveSettings, corrections, first_prompts, learned_rounds

EPSILON = 1e-7
"""Keeps Dice finite on empty maps. Source: torch-em 0.10.9."""

Backward = Callable[[Tensor], None]
Autocast = Callable[[], AbstractContextManager[None]]


def dice_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Return one minus the Dice score with squared denominators, over the last two axes.

    Args:
        prediction: ``(..., height, width)`` in 0..1.
        target: Same shape.

    Returns:
        Losses ``(...)`` in 0..1.

    Source:
        torch-em 0.10.9, ``dice_score``: ``2 sum(pt) / max(sum(p^2) + sum(t^2), 1e-7)``.
    """
    overlap = (prediction * target).sum(dim=(-2, -1))
    size = (prediction**2).sum(dim=(-2, -1)) + (target**2).sum(dim=(-2, -1))
    return 1.0 - 2.0 * overlap / size.clamp(min=EPSILON)


def distance_loss(prediction: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
    """Return the AIS loss: Dice of the foreground, and of both distances inside the objects.

    Args:
        prediction: ``(n, 3, height, width)`` in the order of ``AIS_CHANNELS``.
        target: Same shape.
        known: ``(n, 1, height, width)``, 1 where somebody annotated and 0 elsewhere; None if it is
            1 everywhere.

    Returns:
        The sum of the three losses, a scalar between 0 and 3. Sums run over the batch.

    Source:
        torch-em 0.10.9, ``DiceBasedDistanceLoss(mask_distances_in_bg=True)``.
    """
    mask = target[:, :1]
    foreground = prediction[:, :1] if known is None else prediction[:, :1] * known
    channels = torch.cat([foreground, prediction[:, 1:] * mask], dim=1)
    wanted = torch.cat([target[:, :1], target[:, 1:] * mask], dim=1)
    # One Dice score for each channel, over all images of the batch together.
    return dice_loss(
        channels.transpose(0, 1).flatten(2, 3), wanted.transpose(0, 1).flatten(2, 3)
    ).sum()


def background_loss(prediction: Tensor, known: Tensor | None = None) -> Tensor:
    """Return the AIS loss of an image without objects: the mean square of its foreground map.

    Args:
        prediction: ``(n, 3, height, width)`` in the order of ``AIS_CHANNELS``.
        known: As for ``distance_loss``.

    Returns:
        A scalar between 0 and 1.

    Source:
        Own choice: where there is no object, the Dice loss is 1 whatever is predicted, and teaches
        nothing. The distances count inside objects alone.
    """
    foreground = prediction[:, :1] if known is None else prediction[:, :1] * known
    pixels = foreground.numel() if known is None else known.sum().clamp(min=1)
    return (foreground**2).sum() / pixels


def interactive_step(
    sam: Sam,
    image_embeddings: Tensor,
    labels: Labels2D,
    ids: list[int],
    settings: InteractiveSettings,
    *,
    start_with_box: bool,
    rng: np.random.Generator,
    backward: Backward,
    autocast: Autocast = nullcontext,
) -> float:
    """Prompt objects, then correct their masks, and learn from every round.

    The first round prompts with a random point in the object (three masks, of which the best
    counts), or with a box or several points (one mask). Each later round adds a positive point
    where the mask misses the object, a negative point where it goes too far, and sometimes the
    earlier logits as mask input. With ``learned_rounds`` only the first round, the last and a
    random choice of those between compute gradients; the others only lead to the next, at a third
    of the cost. Rounds share no gradient, so no gradient is cut off.

    Args:
        sam: The model.
        image_embeddings: ``(1, 256, grid, grid)``.
        labels: ``(height, width)`` of the crop, in pixels of the encoder's input; where it is -1,
            nothing is learned and no point lies.
        ids: The objects to train on.
        settings: Rounds and randomness.
        start_with_box: Start with a box, else with a point.
        rng: Source of all random choices.
        backward: Called with each learned round's share of the loss.
        autocast: Context of the networks; losses are computed outside of it, in float32.

    Returns:
        The loss, averaged over learned rounds.
    """
    device = image_embeddings.device
    truths = np.stack([labels == i for i in ids])
    side = sam.config.image_size
    target = torch.zeros(len(ids), 1, side, side, device=device)
    target[:, 0, : labels.shape[0], : labels.shape[1]] = torch.from_numpy(truths)
    ignored = labels == IGNORED
    known: Tensor | None = None
    if ignored.any():
        known = torch.ones(1, 1, side, side, device=device)
        known[0, 0, : labels.shape[0], : labels.shape[1]] = torch.from_numpy(~ignored)
    boxes, coords, point_labels = first_prompts(labels, ids, settings, rng, with_box=start_with_box)
    multimask = sam.config.architecture.mask_decoder.point_output == "multimask"
    mask_input: Tensor | None = None
    learned = learned_rounds(settings, rng)
    total = 0.0
    for round_index in range(settings.n_sub_iteration):
        points = None
        if coords.shape[1]:
            points = (
                torch.from_numpy(coords).to(device),
                torch.from_numpy(point_labels).to(device),
            )
        with torch.set_grad_enabled(round_index in learned):
            with autocast():
                logits, iou = sam.decode(
                    image_embeddings,
                    points=points,
                    boxes=None if boxes is None else torch.from_numpy(boxes).to(device),
                    mask_input=mask_input,
                    multimask_output=multimask
                    and round_index == 0
                    and boxes is None
                    and coords.shape[1] == 1,
                )
            loss, best = mask_loss(logits.float(), iou.float(), target, known)
        if round_index in learned:
            backward(loss / len(learned))
            total += float(loss.detach())
        if round_index == max(learned):
            break
        previous = torch.gather(
            logits.detach(), 1, best.view(-1, 1, 1, 1).expand(-1, 1, *logits.shape[2:])
        ).float()
        masks = _upscaled(previous, side)[:, 0, : labels.shape[0], : labels.shape[1]] > 0
        added, added_labels = corrections(truths, masks.cpu().numpy(), ignored, rng)
        coords = np.concatenate([coords, added], axis=1)
        point_labels = np.concatenate([point_labels, added_labels], axis=1)
        mask_input = previous if rng.random() < settings.mask_prob else None
    return total / len(learned)


def mask_loss(
    logits: Tensor, iou_predictions: Tensor, target: Tensor, known: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the Dice loss of each object's best mask plus the squared error of all IoUs.

    Args:
        logits: low_res_logits ``(n, c, side, side)``.
        iou_predictions: ``(n, c)``.
        target: ``(n, 1, image_size, image_size)`` 0 or 1.
        known: ``(1, 1, image_size, image_size)``, 1 where somebody annotated and 0 elsewhere; None
            if it is 1 everywhere.

    Returns:
        The loss (mean over objects), and the index ``(n,)`` of the best mask of each object.

    Source:
        micro-sam 1.8.14, ``SamTrainer._compute_loss``.
    """
    masks = torch.sigmoid(_upscaled(logits, target.shape[-1]))
    if known is not None:
        masks = masks * known
    dice = dice_loss(masks, target.expand_as(masks))
    best_dice, best = dice.min(dim=1)
    with torch.no_grad():
        binary = masks > 0.5
        truth = target > 0.5
        overlap = (binary & truth).sum(dim=(2, 3))
        union = (binary | truth).sum(dim=(2, 3))
        iou = overlap / (union + EPSILON)
    return best_dice.mean() + F.mse_loss(iou_predictions, iou), best


def _upscaled(logits: Tensor, side: int) -> Tensor:
    if logits.shape[-1] == side:
        return logits
    return F.interpolate(logits, size=(side, side), mode="bilinear", align_corners=False)
