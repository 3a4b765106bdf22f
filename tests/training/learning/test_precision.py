"""One precision a run: chosen by the device, and reaching every network in every phase."""

import dataclasses
from typing import Any

import pytest
import tiny

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.config import Preprocessing
from samzoo.training.config import TrainConfig

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytestmark = pytest.mark.torch

from samzoo.training.data.annotated import Annotated  # noqa: E402
from samzoo.training.fit import loop as fit  # noqa: E402
from samzoo.training.fit.run import Run  # noqa: E402
from samzoo.training.learning.precision import resolved_precision  # noqa: E402
from samzoo.training.networks.graphs import TorchNetworks  # noqa: E402

CPU, GPU = torch.device("cpu"), torch.device("cuda")
PARTS = ("image_encoder", "prompt_encoder", "mask_decoder", "ais_decoder")


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [({"amx_bf16": True}, "bf16-mixed"), ({"avx512_bf16": True, "amx_bf16": False}, "32-true"),
     ({}, "32-true")],
)  # fmt: skip
def test_a_cpu_computes_in_bfloat16_only_with_amx(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert resolved_precision("auto", CPU) == expected


def test_a_torch_that_cannot_tell_computes_in_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert resolved_precision("auto", CPU) == "32-true"


@pytest.mark.parametrize(("able", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_a_gpu_computes_in_bfloat16_if_it_does_so_itself(monkeypatch, able, expected):
    asked = []

    def supported(*, including_emulation):
        asked.append(including_emulation)
        return able

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert resolved_precision("auto", GPU) == expected
    assert asked == [False]
    assert resolved_precision("auto", torch.device("mps")) == "32-true"


def test_what_is_wanted_is_used_or_refused():
    for wanted in ("32-true", "bf16-mixed"):
        assert resolved_precision(wanted, CPU) == wanted
    assert resolved_precision("16-mixed", GPU) == "16-mixed"
    with pytest.raises(InputError, match=r"precision: found '16-mixed', but .* on the CPU"):
        resolved_precision("16-mixed", CPU)


def train(folder, **changes):
    image, labels = tiny.make_cells((64, 64), 0)
    other, truth = tiny.make_cells((64, 64), 1)
    config = TrainConfig(
        epochs=1, steps_per_epoch=2, n_objects=2, n_sub_iteration=2, mask_prob=1.0,
        ais_decoder=tiny.AIS_DECODER, validation_tasks=("ais", "point"),
        preprocessing=Preprocessing(scale=1.0),
    )  # fmt: skip
    return fit.train(
        base=folder / "base", train_data=[Annotated(image, labels, "a")],
        val_data=[Annotated(other, truth, "b")], method="lora",
        config=dataclasses.replace(config, **changes), output=folder / "run",
    )  # fmt: skip


@pytest.mark.parametrize("encoder", tiny.ENCODERS)
@pytest.mark.parametrize(
    ("precision", "expected"), [("bf16-mixed", torch.bfloat16), ("32-true", torch.float32)]
)
def test_every_network_computes_in_it_in_every_phase(
    tmp_path, monkeypatch, encoder, precision, expected
):
    """What comes out of linear layers and convolutions, by part of the model and by phase."""
    tiny.write_base(tmp_path / "base", tiny.make_sam(tiny.make_config(encoder)))
    phase = ["none"]
    found: dict[tuple[str, str], set[Any]] = {}

    def watch(self, *args: Any, **kwargs: Any):
        prepare(self, *args, **kwargs)
        for name, layer in self.sam.named_modules():
            if isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d)):
                part = name.partition(".")[0]
                layer.register_forward_hook(
                    lambda *a, part=part: found.setdefault((phase[0], part), set()).add(a[2].dtype)
                )

    prepare = Run.__init__
    monkeypatch.setattr(Run, "__init__", watch)

    def in_phase(name, original):
        def within(self, *args):
            phase[0] = name
            return original(self, *args)

        monkeypatch.setattr(Run, name, within)

    for name in ("step", "validate", "finish"):
        in_phase(name, getattr(Run, name))
    train(tmp_path, precision=precision)
    wanted = {(name, part) for name in ("step", "validate") for part in PARTS}
    # The threshold search asks for AIS maps alone.
    wanted |= {("finish", "image_encoder"), ("finish", "ais_decoder")}
    assert found.keys() >= wanted - {("validate", "prompt_encoder")}
    assert {dtype for key in wanted & found.keys() for dtype in found[key]} == {expected}


def test_training_and_validation_compute_the_same_embeddings(tmp_path, monkeypatch):
    tiny.write_base(tmp_path / "base", tiny.make_sam(tiny.make_config("tiny_vit")))
    runs = []
    finish = Run.finish

    def remember(self):
        runs.append(self)
        return finish(self)

    monkeypatch.setattr(Run, "finish", remember)
    train(tmp_path, precision="bf16-mixed", search_ais=False)
    (run,) = runs
    crop = run.learner._sampler.draw()
    with torch.no_grad():
        ours = run.learner._trained_output(run.learner._frozen_output(crop.image, "")).numpy()
    theirs = TorchNetworks(run.sam, autocast=run.fabric.autocast).encode(crop.image)
    assert ours.dtype == theirs.dtype == "float32"
    assert (ours == theirs).all()


def test_a_run_goes_on_in_the_precision_that_it_began_with(tmp_path, monkeypatch):
    tiny.write_base(tmp_path / "base", tiny.make_sam(tiny.make_config("tiny_vit")))
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)

    def stop(status):
        raise KeyboardInterrupt

    image, labels = tiny.make_cells((64, 64), 0)
    other, truth = tiny.make_cells((64, 64), 1)
    arguments: dict[str, Any] = {
        "base": tmp_path / "base", "train_data": [Annotated(image, labels, "a")],
        "val_data": [Annotated(other, truth, "b")], "method": "lora", "output": tmp_path / "run",
        "config": TrainConfig(
            epochs=1, steps_per_epoch=2, n_objects=2, n_sub_iteration=2, search_ais=False,
            ais_decoder=tiny.AIS_DECODER, validation_tasks=("ais",),
            preprocessing=Preprocessing(scale=1.0),
        ),
    }  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        fit.train(**arguments, report=stop)
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)  # another computer
    fit.train(**arguments, resume=True)
    from samzoo.training import read_adapter

    training = read_adapter(tmp_path / "run")[0].source["training"]
    assert training["precision"] == "bf16-mixed"
    assert training["config"]["precision"] == "auto"
