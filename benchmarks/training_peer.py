"""micro-sam's side of ``training.py``: its joint trainer, timed. Run by the Python that has it.

    python benchmarks/training_peer.py WORK METHOD STEPS OBJECTS ROUNDS

WORK holds what ``training.py`` wrote: ``shape.json``, ``sam.pt``, ``image.npz``. Nothing of
samzoo is imported. The model and the order of the calls are those of ``train_sam`` of micro-sam
1.8.14: an iteration for prompts with its gradients, then one for the UNETR with its own.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch


def main() -> None:
    """Print the measurement as JSON."""
    work, method, *numbers = sys.argv[1:]
    steps, objects, rounds = map(int, numbers)
    print(json.dumps(measured(Path(work), method, steps, objects, rounds)))


def measured(work: Path, method: str, steps: int, objects: int, rounds: int) -> dict[str, Any]:
    """Take some steps; returns times, their parts and the peak."""
    import torch_em
    from micro_sam.instance_segmentation import get_unetr
    from micro_sam.models.build_sam import _build_sam
    from micro_sam.training.joint_sam_trainer import JointSamTrainer
    from micro_sam.training.trainable_sam import TrainableSAM
    from micro_sam.training.util import ConvertToSamInputs

    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - micro-sam draws from this source
    sam = _build_sam(**json.loads((work / "shape.json").read_text()))
    sam.load_state_dict(torch.load(work / "sam.pt"), strict=False)
    sam = adapted(sam, method)
    model = TrainableSAM(sam)
    unetr = get_unetr(sam.image_encoder, None, "cpu")
    parameters = [
        *model.parameters(),
        *(value for name, value in unetr.named_parameters() if not name.startswith("encoder")),
    ]
    optimizer = torch.optim.AdamW([p for p in parameters if p.requires_grad], lr=1e-5)
    loss = torch_em.loss.DiceBasedDistanceLoss(mask_distances_in_bg=True)
    x, y = batch(work)
    loader = torch.utils.data.DataLoader([(x[0], y[0])], batch_size=1)
    loader.shuffle = False
    trainer = JointSamTrainer(
        name="benchmark", train_loader=loader, val_loader=loader, model=model, optimizer=optimizer,
        device=torch.device("cpu"), lr_scheduler=None, logger=None, mixed_precision=False,
        convert_inputs=ConvertToSamInputs(transform=model.transform, box_distortion_factor=0.025),
        n_objects_per_batch=objects, n_sub_iteration=rounds, compile_model=False, unetr=unetr,
        instance_loss=loss, instance_metric=loss, mask_prob=0.5, save_root=str(work / "micro-sam"),
    )  # fmt: skip
    trainer._iteration = 0
    model.train()
    unetr.train()
    encoder: list[float] = []
    watch(sam.image_encoder, encoder)
    seconds: list[float] = []
    parts: dict[str, list[float]] = {"encoder": [], "prompts": [], "AIS": []}
    for _ in range(steps):
        encoder.clear()
        start = time.perf_counter()
        optimizer.zero_grad()
        found = trainer._interactive_train_iteration(x, y[:, :1])
        found[0].backward()
        optimizer.step()
        middle = time.perf_counter()
        optimizer.zero_grad()
        trainer._instance_iteration(x, y[:, 1:]).backward()
        optimizer.step()
        end = time.perf_counter()
        trainer._iteration += 1
        seconds.append(end - start)
        parts["encoder"].append(sum(encoder))
        parts["prompts"].append(middle - start - encoder[0])
        parts["AIS"].append(end - middle - sum(encoder[1:]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "parts": parts, "peak": peak}


def watch(module: torch.nn.Module, times: list[float]) -> None:
    """Note the seconds of each forward pass of a module."""
    starts: list[float] = []
    module.register_forward_pre_hook(lambda *_: starts.append(time.perf_counter()))
    module.register_forward_hook(lambda *_: times.append(time.perf_counter() - starts.pop()))


def batch(work: Path) -> tuple[Any, Any]:
    """Return an image, ``(1, 3, H, W)`` in 0 to 255, and instances with their distances."""
    from torch_em.transform.label import PerObjectDistanceTransform

    pair = np.load(work / "image.npz")
    image = pair["image"].astype(np.float32)
    image = 255 * (image - image.min()) / (image.max() - image.min())
    transform = PerObjectDistanceTransform(
        distances=True, boundary_distances=True, directed_distances=False, foreground=True,
        instances=True, min_size=25,
    )  # fmt: skip
    targets = transform(pair["labels"]).astype(np.float32)
    return torch.from_numpy(np.stack([image] * 3)[None]), torch.from_numpy(targets[None])


def adapted(sam: Any, method: str) -> Any:
    """Return the model with a method as the paper configures it."""
    from micro_sam.models import peft_sam as peft

    count = len(sam.image_encoder.blocks)
    late = list(range(count // 2, count))
    if method == "full":
        return sam
    if method == "freeze_encoder":
        sam.image_encoder.requires_grad_(requires_grad=False)
        return sam
    settings: dict[str, dict[str, Any]] = {
        "lora": {"rank": 32},
        "late_lora": {"rank": 32, "attention_layers_to_update": late},
        "adaptformer": {
            "rank": 2, "peft_module": peft.AdaptFormer, "alpha": "learnable_scalar",
            "projection_size": 64, "dropout": None,
        },
        "ssf": {"rank": 2, "peft_module": peft.SSFSurgery},
        "fact": {"rank": 16, "peft_module": peft.FacTSurgery, "dropout": 0.1},
        "attention": {"rank": 2, "peft_module": peft.AttentionSurgery},
        "bias": {"rank": 2, "peft_module": peft.BiasSurgery},
        "layernorm": {"rank": 2, "peft_module": peft.LayerNormSurgery},
        "late_full": {
            "rank": 2, "peft_module": peft.ClassicalSurgery, "attention_layers_to_update": late,
        },
    }  # fmt: skip
    if method not in settings:
        raise SystemExit(f"{method}: micro-sam trains it on GPUs alone, or not at all")
    return peft.PEFT_Sam(sam, **settings[method]).sam


if __name__ == "__main__":
    main()
