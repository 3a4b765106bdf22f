"""The two objectives: against golden results, formulas, and what they send backwards."""

from pathlib import Path

import numpy as np
import pytest
import tiny

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from samzoo.training.learning.objectives import (  # noqa: E402
    background_loss,
    dice_loss,
    distance_loss,
    interactive_step,
    mask_loss,
)
from samzoo.training.learning.simulated_prompts import InteractiveSettings  # noqa: E402

GOLDENS = Path(__file__).parents[2] / "goldens" / "dice_loss.npz"

TOLERANCE = 1e-6
"""Relative; sums of some hundred float32 numbers in another order."""


@pytest.mark.parametrize("suffix", ["", "_empty"])
def test_losses_equal_those_of_torch_em(suffix):
    with np.load(GOLDENS) as file:
        prediction = torch.from_numpy(file["prediction"])
        target = torch.from_numpy(file[f"target{suffix}"])
        expected = {name: file[f"{name}{suffix}"] for name in ("distance_loss", "dice_loss")}
        scores = file[f"dice_score_per_channel{suffix}"]
    # One Dice a channel over the whole batch, as torch-em counts.
    flat = (prediction.transpose(0, 1).flatten(2), target.transpose(0, 1).flatten(2))
    found = dice_loss(*flat)
    np.testing.assert_allclose(1 - found, scores, rtol=TOLERANCE, atol=TOLERANCE)
    np.testing.assert_allclose(found.sum(), expected["dice_loss"], rtol=TOLERANCE)
    np.testing.assert_allclose(
        distance_loss(prediction, target), expected["distance_loss"], rtol=TOLERANCE
    )


def test_distances_in_the_background_do_not_count():
    target = torch.zeros(1, 3, 8, 8)
    target[0, :, 2:6, 2:6] = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(0))
    target[0, 0, 2:6, 2:6] = 1
    prediction = target.clone()
    prediction[0, 1:, 6:] = 0.7
    assert distance_loss(prediction, target) < TOLERANCE
    prediction[0, 0, 7] = 0.7
    assert distance_loss(prediction, target) > 0.01


def reference_mask_loss(logits, iou, target):
    """Dice of the best mask and squared error of all IoUs, object by object, in float64."""
    losses, errors, best = [], [], []
    for object_logits, object_iou, truth in zip(logits, iou, target[:, 0], strict=True):
        scores = []
        for mask, predicted in zip(object_logits, object_iou, strict=True):
            p = 1 / (1 + np.exp(-mask.astype(np.float64)))
            scores.append(1 - 2 * (p * truth).sum() / ((p**2).sum() + (truth**2).sum()))
            binary = p > 0.5
            union = (binary | (truth > 0)).sum()
            errors.append((predicted - (binary & (truth > 0)).sum() / union) ** 2)
        losses.append(min(scores))
        best.append(int(np.argmin(scores)))
    return np.mean(losses) + np.mean(errors), best


@pytest.mark.parametrize("masks", [1, 3])
def test_mask_loss_equals_its_formula(rng, masks):
    logits = rng.normal(0, 3, (4, masks, 16, 16)).astype(np.float32)
    iou = rng.uniform(0, 1, (4, masks)).astype(np.float32)
    target = np.zeros((4, 1, 16, 16), np.float32)
    for i in range(4):
        target[i, 0, i : 2 * i + 5, 3:9] = 1
    loss, best = mask_loss(*(torch.from_numpy(value) for value in (logits, iou, target)))
    expected, chosen = reference_mask_loss(logits, iou, target)
    np.testing.assert_allclose(float(loss), expected, rtol=TOLERANCE)
    assert best.tolist() == chosen


def test_only_the_best_mask_and_all_iou_predictions_get_gradients(rng):
    logits = torch.tensor(rng.normal(0, 3, (2, 3, 8, 8)), dtype=torch.float32, requires_grad=True)
    iou = torch.full((2, 3), 0.5, requires_grad=True)
    target = torch.zeros(2, 1, 8, 8)
    target[:, :, 2:5, 2:5] = 1
    loss, best = mask_loss(logits, iou, target)
    loss.backward()
    trained = logits.grad.abs().sum(dim=(2, 3)) > 0
    assert trained.sum(dim=1).tolist() == [1, 1]
    assert trained[torch.arange(2), best].all()
    assert (iou.grad != 0).all()


def test_mask_loss_compares_at_the_size_of_the_target():
    logits = torch.full((1, 1, 4, 4), -20.0)
    logits[:, :, :2] = 20.0
    target = torch.zeros(1, 1, 16, 16)
    target[:, :, :8] = 1
    loss, _ = mask_loss(logits, torch.ones(1, 1), target)
    assert loss < 0.05  # but for the interpolated edge


@pytest.fixture(scope="module")
def labels():
    return tiny.make_cells((60, 64))[1]


@pytest.fixture
def sam():
    return tiny.make_sam().requires_grad_(True)


def run_step(
    sam, labels, *, box=False, seed=0, rounds=3, mask_prob=0.5, backward=None, first_points=1
):
    """One interactive step; returns its loss and the embeddings with their gradient."""
    leaf = torch.randn(1, 256, 8, 8, generator=torch.Generator().manual_seed(0))
    leaf.requires_grad_(True)
    loss = interactive_step(
        sam,
        leaf,
        labels,
        [1, 4, 6],
        InteractiveSettings(rounds, mask_prob, 0.025, first_points=first_points),
        start_with_box=box,
        rng=np.random.default_rng(seed),
        backward=backward or torch.Tensor.backward,
    )
    return loss, leaf


@pytest.mark.parametrize("box", [False, True])
def test_gradients_reach_the_embeddings_and_both_decoders(sam, labels, box):
    _, leaf = run_step(sam, labels, box=box, mask_prob=1.0)
    assert leaf.grad.abs().max() > 0
    without = {
        name
        for part in ("prompt_encoder", "mask_decoder")
        for name, p in getattr(sam, part).named_parameters()
        if p.grad is None or not p.grad.any()
    }
    # No mask in the first round uses `no_mask_embed`, corrections use points; boxes the corners.
    expected = set() if box else {"point_embeddings.2.weight", "point_embeddings.3.weight"}
    unused = {name for name in without if "point_embeddings" in name}
    assert unused == expected
    trained_masks = {name.split(".")[1] for name in without if "hypernetworks" in name}
    assert "0" not in trained_masks  # the single mask learns in every step


@pytest.mark.parametrize("rounds", [1, 2, 4])
def test_each_round_goes_backwards_once_and_the_loss_is_their_mean(sam, labels, rounds):
    shares = []

    def backward(loss):
        shares.append(float(loss.detach()))
        loss.backward()

    loss, _ = run_step(sam, labels, rounds=rounds, backward=backward)
    assert len(shares) == rounds
    np.testing.assert_allclose(loss, sum(shares), rtol=TOLERANCE)


def test_with_learned_rounds_the_first_the_last_and_some_between_go_backwards(
    sam, labels, monkeypatch
):
    calls, shares = recorded(sam, monkeypatch), []

    def backward(loss):
        shares.append(len(calls))
        loss.backward()

    settings = InteractiveSettings(6, 0.5, 0.025, learned_rounds=3)
    seen = set()
    for seed in range(12):
        calls.clear()
        shares.clear()
        leaf = torch.randn(1, 256, 8, 8, generator=torch.Generator().manual_seed(0))
        interactive_step(
            sam, leaf, labels, [1, 4, 6], settings,
            start_with_box=True, rng=np.random.default_rng(seed), backward=backward,
        )  # fmt: skip
        assert len(shares) == 3
        assert (shares[0], shares[-1], len(calls)) == (1, 6, 6)
        seen |= set(shares)
    assert seen == {1, 2, 3, 4, 5, 6}


def recorded(sam, monkeypatch):
    """Let the model remember what it is asked to decode."""
    calls, decode = [], sam.decode

    def remember(embeddings, **prompts):
        calls.append(prompts)
        return decode(embeddings, **prompts)

    monkeypatch.setattr(sam, "decode", remember)
    return calls


def test_a_point_comes_first_with_three_masks_then_corrections_with_one(sam, labels, monkeypatch):
    calls = recorded(sam, monkeypatch)
    run_step(sam, labels, mask_prob=0.0)
    assert [call["multimask_output"] for call in calls] == [True, False, False]
    assert [call["points"][0].shape for call in calls] == [(3, 1, 2), (3, 3, 2), (3, 5, 2)]
    assert all(call["boxes"] is None and call["mask_input"] is None for call in calls)
    for point, label, i in zip(*calls[0]["points"], [1, 4, 6], strict=True):
        x, y = point[0].int().tolist()
        assert labels[y, x] == i
        assert label.tolist() == [1]
    assert calls[2]["points"][1][:, 1:].tolist() == [[1, 0, 1, 0]] * 3


def test_a_box_comes_first_with_one_mask_and_stays(sam, labels, monkeypatch):
    calls = recorded(sam, monkeypatch)
    run_step(sam, labels, box=True, mask_prob=1.0)
    assert [call["multimask_output"] for call in calls] == [False] * 3
    assert calls[0]["points"] is None
    assert [call["points"][0].shape for call in calls[1:]] == [(3, 2, 2), (3, 4, 2)]
    assert all(torch.equal(call["boxes"], calls[0]["boxes"]) for call in calls)
    assert calls[0]["mask_input"] is None
    assert [call["mask_input"].shape for call in calls[1:]] == [(3, 1, 32, 32)] * 2
    assert not any(call["mask_input"].requires_grad for call in calls[1:])


def test_three_masks_compete_for_a_single_point_alone(sam, labels, monkeypatch):
    """The exported decoder chooses by the number of tokens, as this does."""
    calls = recorded(sam, monkeypatch)
    seen = set()
    for seed in range(12):
        calls.clear()
        run_step(sam, labels, rounds=2, mask_prob=0.0, seed=seed, first_points=3)
        points = calls[0]["points"][0].shape[1]
        assert calls[0]["multimask_output"] is (points == 1)
        assert calls[1]["points"][0].shape[1] == points + 2
        seen.add(points)
    assert seen == {1, 2, 3}


def test_a_model_with_single_output_learns_one_mask_for_a_point_too(labels, monkeypatch):
    import dataclasses

    config = tiny.make_config()
    decoder = dataclasses.replace(config.architecture.mask_decoder, point_output="single")
    architecture = dataclasses.replace(config.architecture, mask_decoder=decoder)
    sam = tiny.make_sam(dataclasses.replace(config, architecture=architecture))
    calls = recorded(sam, monkeypatch)
    run_step(sam, labels)
    assert [call["multimask_output"] for call in calls] == [False] * 3


@pytest.mark.parametrize("box", [False, True])
def test_the_same_seed_gives_the_same_loss_and_gradients(sam, labels, box):
    first_loss, first = run_step(sam, labels, box=box)
    loss, again = run_step(sam, labels, box=box)
    assert loss == first_loss
    assert torch.equal(again.grad, first.grad)
    other, _ = run_step(sam, labels, box=box, seed=1)
    assert other != loss


def test_a_crop_smaller_than_the_encoder_input_is_compared_where_it_lies(sam, monkeypatch):
    """The padding below and right of the crop is background."""
    from samzoo.training.learning import objectives

    targets = []
    original = objectives.mask_loss

    def remember(logits, iou, target, known):
        targets.append(target)
        return original(logits, iou, target, known)

    monkeypatch.setattr(objectives, "mask_loss", remember)
    labels = np.zeros((30, 40), np.int32)
    labels[5:15, 8:20], labels[20:30, 30:40], labels[18:25, 2:9] = 1, 4, 6
    run_step(sam, labels)
    expected = np.zeros((3, 64, 64), np.float32)
    for i, label in enumerate([1, 4, 6]):
        expected[i, :30, :40] = labels == label
    np.testing.assert_array_equal(targets[0][:, 0], expected)


def test_what_nobody_annotated_has_no_part_in_the_losses(rng):
    known = torch.ones(1, 1, 8, 8)
    known[..., 5:] = 0
    target = torch.zeros(1, 3, 8, 8)
    target[:, :, 2:4, 1:4] = 0.5
    target[:, 0, 2:4, 1:4] = 1
    maps = torch.from_numpy(rng.random((1, 3, 8, 8), np.float32)).requires_grad_(True)
    loss = distance_loss(maps, target, known)
    loss.backward()
    assert maps.grad is not None
    assert not maps.grad[..., 5:].any()
    assert maps.grad[..., :5].any()
    cut = distance_loss(maps[..., :5], target[..., :5])
    torch.testing.assert_close(loss, cut)

    logits = torch.from_numpy(rng.normal(size=(2, 3, 8, 8)).astype(np.float32))
    iou = torch.zeros(2, 3)
    masks = (torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1)) > 0.5) * known
    logits.requires_grad_(True)
    loss, _ = mask_loss(logits, iou, masks, known)
    loss.backward()
    assert logits.grad is not None
    assert not logits.grad[..., 5:].any()
    torch.testing.assert_close(loss, mask_loss(logits[..., :5], iou, masks[..., :5], None)[0])


def test_an_image_without_objects_teaches_its_foreground_to_vanish():
    maps = torch.full((1, 3, 4, 4), 0.5).requires_grad_(True)
    known = torch.ones(1, 1, 4, 4)
    known[..., 0] = 0
    assert float(background_loss(maps.detach())) == 0.25
    background_loss(maps, known).backward()
    assert maps.grad is not None
    torch.testing.assert_close(maps.grad[:, :1], known / 12)
    assert not maps.grad[:, 1:].any()


@pytest.mark.parametrize("box", [False, True])
def test_the_interactive_step_prompts_only_where_somebody_annotated(sam, box, monkeypatch):
    calls = recorded(sam, monkeypatch)
    labels = np.zeros((64, 64), np.int32)
    labels[5:15, 8:20], labels[20:30, 30:40], labels[18:25, 2:9] = 1, 4, 6
    labels[:, 44:] = -1
    run_step(sam, labels, box=box)
    for prompts in calls:
        if prompts["points"] is not None:
            assert (prompts["points"][0][..., 0] < 44).all()
