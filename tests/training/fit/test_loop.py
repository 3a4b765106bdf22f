"""Whole runs of a tiny SAM: what they write, how they stop, and that they can go on."""

import dataclasses
import errno
import json
import os
import signal
from functools import partial
from typing import Any

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import (
    FormatError,
    ImageError,
    InputError,
    NotFoundError,
    OutputExistsError,
    StorageError,
)
from samzoo.runtime.formats.config import AisParameters, Preprocessing
from samzoo.runtime.formats.files import read_tensors
from samzoo.runtime.labels.contents import content_identity
from samzoo.training import get_method, read_adapter
from samzoo.training.config import TrainConfig
from samzoo.training.methods import METHODS as ALL_METHODS

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytestmark = pytest.mark.torch

from samzoo.training.data.annotated import Annotated  # noqa: E402
from samzoo.training.data.object_size import median_diameter  # noqa: E402
from samzoo.training.fit import loop as fit  # noqa: E402
from samzoo.training.fit.readiness import LAST, PREVIOUS  # noqa: E402
from samzoo.training.fit.run import BEST, LOG, Run  # noqa: E402
from samzoo.training.fit.validation import validate  # noqa: E402
from samzoo.training.fit.validation_part import after_an_epoch  # noqa: E402
from samzoo.training.learning import learner  # noqa: E402
from samzoo.training.learning.objectives import distance_loss, interactive_step  # noqa: E402

CONFIG = TrainConfig(
    epochs=2,
    steps_per_epoch=3,
    early_stopping=0,
    learning_rate=1e-3,
    ais_learning_rate=1e-2,
    n_objects=3,
    n_sub_iteration=2,
    ais_decoder=tiny.AIS_DECODER,
    search_ais=False,
    validation_tasks=("ais",),
    preprocessing=Preprocessing(scale=1.0),
)
METHODS = ("lora", "freeze_encoder", "full")
NO_DECODER: dict[str, Any] = {
    "ais_decoder": None, "ais_learning_rate": TrainConfig().ais_learning_rate,
}  # fmt: skip
LORA = {"rank": 2, "matrices": ["q", "k", "v"]}

TOLERANCE = 1e-5
"""Relative to the largest value: merged against unmerged, see ``test_lora.py``."""


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """Base folders by encoder; the ViT has an AIS decoder already, TinyViT none."""
    folder = tmp_path_factory.mktemp("bases")
    return {
        name: tiny.write_base(
            folder / name, tiny.make_sam(tiny.make_config(name, ais=name == "vit"))
        )
        for name in tiny.ENCODERS
    }


def annotated(seed, shape=(64, 64)):
    image, labels = tiny.make_cells(shape, seed)
    return Annotated(image, labels, f"cells {seed}")


@pytest.fixture
def train(bases, tmp_path):
    """Train into ``tmp_path / output``; settings that are no argument of ``train`` are config."""

    def run(output="run", *, base="vit", method="lora", **changes):
        arguments = {
            name: changes.pop(name)
            for name in ("train_data", "val_data", "resume", "source", "report", "note")
            if name in changes
        }
        if method == "lora":
            changes.setdefault("hyperparameters", LORA)
        return fit.train(
            base=bases[base],
            method=method,
            config=dataclasses.replace(CONFIG, **changes),
            output=tmp_path / output,
            **{
                "train_data": [annotated(0, (80, 90))],
                "val_data": [annotated(1)],
                **arguments,
            },
        )

    return run


@pytest.fixture
def runs(monkeypatch):
    """All runs that come to their end."""
    found, finish = [], Run.finish

    def remember(self):
        found.append(self)
        return finish(self)

    monkeypatch.setattr(Run, "finish", remember)
    return found


def log_of(folder):
    return [json.loads(line) for line in (folder / LOG).read_text().splitlines()]


def stop_at(step):
    """A report that interrupts after so many steps."""

    def report(status):
        if status.step == step:
            raise KeyboardInterrupt

    return report


# -- what a run writes ---------------------------------------------------------------------------


@pytest.fixture(
    scope="module",
    params=[(base, method) for base in tiny.ENCODERS for method in METHODS],
    ids="-".join,
)
def trained(request, bases, tmp_path_factory):
    """A trained run, its adapter, and the base's weights: each of the methods on both encoders."""
    base, method = request.param
    found, finish = [], Run.finish

    def remember(run):
        found.append(run)
        return finish(run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "finish", remember)
        output = tmp_path_factory.mktemp("trained") / "run"
        fit.train(
            base=bases[base],
            train_data=[annotated(0, (80, 90))],
            val_data=[annotated(1)],
            method=method,
            # Fast, so that the encoder's part of the adapter is not lost in rounding.
            config=dataclasses.replace(
                CONFIG, hyperparameters=LORA if method == "lora" else {}, learning_rate=0.05
            ),
            output=output,
        )
    return (
        base,
        method,
        found[0],
        *read_adapter(output),
        read_tensors(bases[base] / "model.safetensors"),
    )


def test_the_adapter_holds_what_was_trained_and_nothing_frozen(trained):
    base, method, run, config, tensors, weights = trained
    encoder = {name for name in tensors if name.startswith("image_encoder.")}
    if method == "lora":
        assert encoder
        assert all(".lora_" in name for name in encoder)
    elif method == "full":
        assert encoder == {
            f"image_encoder.{n}" for n, _ in run.sam.image_encoder.named_parameters()
        }
    else:
        assert encoder == set()
    decoders = {n for n in weights if n.startswith(("prompt_encoder.", "mask_decoder."))}
    assert decoders <= set(tensors)
    assert {n for n in tensors if n.startswith("ais_decoder.")}
    assert set(tensors) - encoder - decoders == {n for n in tensors if n.startswith("ais_decoder.")}
    assert config.method == method
    assert config.base_path == str(run.base)
    assert config.architecture.image_encoder == tiny.ENCODERS[base]
    assert config.architecture.ais_decoder == tiny.AIS_DECODER
    assert config.preprocessing == CONFIG.preprocessing


@torch.no_grad()
def test_merging_the_adapter_gives_the_network_that_was_trained(trained):
    from samzoo.training.networks.sam import Sam, load_weights

    _, method, run, config, tensors, weights = trained
    delta = {n: v for n, v in tensors.items() if n.startswith("image_encoder.")}
    settings = get_method(method).settings(config.hyperparameters)
    merged = get_method(method).fold(weights, delta, config.architecture, settings)
    others = {n: v for n, v in tensors.items() if n not in delta}
    sam = Sam(run.sam.config).eval()
    load_weights(sam, {**weights, **merged, **others}, where="merged")
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    expected, found = run.sam.embed(image), sam.embed(image)
    plain = Sam(run.sam.config).eval()
    load_weights(plain, {**weights, **others}, where="base")
    if method != "freeze_encoder":
        assert float((plain.embed(image) - expected).abs().max()) > 0.01
    scale = float(expected.abs().max())
    assert float((found - expected).abs().max()) <= TOLERANCE * scale
    for part in ("prompt_encoder", "mask_decoder", "ais_decoder"):
        theirs = getattr(sam, part).state_dict()
        for name, value in getattr(run.sam, part).state_dict().items():
            assert torch.equal(value, theirs[name])


def test_the_adapter_says_where_it_came_from(train, bases, tmp_path):
    from samzoo.runtime.formats.config import ModelConfig
    from samzoo.runtime.formats.fields import to_json

    scores = train(source={"license": "MIT"}, ais=AisParameters(min_size=3))
    config, _ = read_adapter(tmp_path / "run")
    training = config.source["training"]
    assert config.source["license"] == "MIT"
    assert training["validation"] == scores
    assert training["steps"] == 6
    assert training["config"]["hyperparameters"] == LORA
    assert training["config"]["preprocessing"] == to_json(CONFIG.preprocessing)
    assert config.hyperparameters == {**to_json(get_method("lora").defaults), **LORA}
    assert config.base_digest == ModelConfig.read(bases["vit"] / "config.json").weights_digest
    assert config.ais == AisParameters(min_size=3)


def test_each_epoch_is_logged_with_its_scores(train, tmp_path):
    statuses: list[fit.Status] = []
    scores = train(validation_tasks=("ais", "point"), report=statuses.append)
    log = log_of(tmp_path / "run")
    assert [(line["epoch"], line["step"]) for line in log] == [(1, 3), (2, 6)]
    for line in log:
        assert line["score"] == pytest.approx((line["ais"] + line["point"]) / 2)
        assert line["loss"] > 0
        assert line["learning_rate"] == CONFIG.learning_rate
    assert scores["score"] == max(line["score"] for line in log)
    assert [s.step for s in statuses] == [1, 2, 3, 4, 5, 6]
    assert [s.score for s in statuses] == 3 * [None] + 3 * [log[0]["score"]]
    assert statuses[2].loss == log[0]["loss"]
    assert {s.total for s in statuses} == {6}


@pytest.mark.parametrize(
    "method", ["lora", *(pytest.param(m, marks=pytest.mark.slow) for m in METHODS if m != "lora")]
)
def test_the_loss_falls(train, tmp_path, method):
    train(method=method, epochs=3, steps_per_epoch=6)
    losses = [line["loss"] for line in log_of(tmp_path / "run")]
    assert losses[-1] < 0.9 * losses[0]


def test_the_same_seed_gives_the_same_adapter_and_another_seed_another(train, tmp_path):
    for output, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(output, seed=seed, epochs=1, intensity_jitter=0.3, augmentation="dihedral")
    digests = [read_adapter(tmp_path / name)[0].adapter_digest for name in "abc"]
    assert digests[0] == digests[1] != digests[2]


def test_the_best_epoch_is_written_not_the_last(train, tmp_path, monkeypatch):
    from samzoo.training.fit import run

    scores = iter([0.1, 0.7, 0.3])
    monkeypatch.setattr(run, "validate", lambda *_, **__: {"ais": 0.0, "score": next(scores)})
    kept = {}

    def report(status):
        if status.step == 7:  # the first step after the best epoch
            kept.update(read_tensors(tmp_path / "run" / LAST))

    assert train(epochs=3, report=report)["score"] == 0.7
    tensors = read_adapter(tmp_path / "run")[1]
    last = read_tensors(tmp_path / "run" / LAST)
    name = "mask_decoder.iou_token.weight"
    np.testing.assert_array_equal(tensors[name], kept[f"weights/{name}"])
    assert not np.array_equal(tensors[name], last[f"weights/{name}"])


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_run_that_stops_leaves_the_adapter_of_its_best_epoch(
    train, tmp_path, monkeypatch, ema_decay
):
    """It merges, and says that the run has not finished."""
    from samzoo.zoo.merging.folding import merge

    scores = iter([0.1, 0.7, 0.3, 0.2])
    monkeypatch.setattr(
        "samzoo.training.fit.run.validate", lambda *_, **__: {"ais": 0.0, "score": next(scores)}
    )
    with pytest.raises(fit.Stopped) as stopped:
        train(epochs=4, ema_decay=ema_decay, report=stop_at(10))
    status = stopped.value.status
    assert (status.epoch, status.epochs, status.best, status.best_epoch) == (4, 4, 0.7, 2)
    config, tensors = read_adapter(tmp_path / "run")
    best = read_tensors(tmp_path / "run" / BEST)
    name = "mask_decoder.iou_token.weight"
    np.testing.assert_array_equal(tensors[name], best[f"weights/{name}"])
    assert config.source["training"]["finished"] is False
    assert config.source["training"]["steps"] == 6
    merge(tmp_path / "run", tmp_path / "model")
    train(epochs=4, ema_decay=ema_decay, resume=True)
    assert read_adapter(tmp_path / "run")[0].source["training"]["finished"] is True


def test_an_interrupt_of_the_threshold_search_keeps_the_state_of_the_last_step(
    train, tmp_path, monkeypatch
):
    """The weights are the best ones by then, not those of the last step."""

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    train("whole", search_ais=True)
    with monkeypatch.context() as patch:
        patch.setattr("samzoo.training.fit.ais_search.search_thresholds", interrupted)
        with pytest.raises(fit.Stopped):
            train("parts", search_ais=True)
    train("parts", search_ais=True, resume=True)
    assert_same_runs(tmp_path / "whole", tmp_path / "parts")


def test_with_an_average_that_is_what_is_written(train, tmp_path):
    train(ema_decay=0.9, epochs=1)
    tensors, last = read_adapter(tmp_path / "run")[1], read_tensors(tmp_path / "run" / LAST)
    name = "mask_decoder.iou_token.weight"
    np.testing.assert_array_equal(tensors[name], last[f"average/{name}"])
    assert not np.array_equal(tensors[name], last[f"weights/{name}"])


def test_the_thresholds_found_become_the_adapters(train, tmp_path, monkeypatch):
    found = AisParameters(center_distance_threshold=0.3, min_size=12)
    monkeypatch.setattr(
        "samzoo.training.fit.ais_search.search_thresholds", lambda *_, **__: (found, 0.9)
    )
    assert train(search_ais=True, epochs=1)["ais"] == 0.9
    assert read_adapter(tmp_path / "run")[0].ais == found


def test_without_ais_decoder_prompts_alone_are_trained(train, tmp_path):
    scores = train(**NO_DECODER, validation_tasks=("ais", "box"), epochs=1, search_ais=True)
    assert set(scores) == {"box", "score"}
    config, tensors = read_adapter(tmp_path / "run")
    assert config.architecture.ais_decoder is None
    assert not [name for name in tensors if name.startswith("ais_decoder.")]


def test_a_single_output_becomes_part_of_the_model(train, tmp_path):
    train(point_output="single", epochs=1)
    decoder = read_adapter(tmp_path / "run")[0].architecture.mask_decoder
    assert decoder.point_output == "single"


def test_an_object_diameter_sets_the_input_scale(train, tmp_path):
    data = [annotated(0, (80, 90))]
    train(train_data=data, object_diameter=20.0, preprocessing=Preprocessing(), epochs=1)
    scale = read_adapter(tmp_path / "run")[0].preprocessing.scale
    assert scale == pytest.approx(20.0 / median_diameter(data), abs=0.005)


def test_corrections_begin_when_they_shall(train, monkeypatch):
    rounds = []

    def spy(sam, embeddings, labels, ids, settings, **options):
        rounds.append(settings.n_sub_iteration)
        return interactive_step(sam, embeddings, labels, ids, settings, **options)

    monkeypatch.setattr(learner, "interactive_step", spy)
    train(corrections_after=0.5, epochs=2, steps_per_epoch=3, n_sub_iteration=2)
    assert rounds == [1, 1, 1, 2, 2, 2]


def test_a_checkpoint_from_before_the_corrections_is_not_the_best(train, monkeypatch):
    scores = iter([0.9, 0.2, 0.1])
    monkeypatch.setattr(
        "samzoo.training.fit.run.validate",
        lambda *_, **__: {"ais": (score := next(scores)), "score": score},
    )
    best = train(corrections_after=0.3, epochs=3)
    assert best["score"] == 0.2


# -- the encoder ---------------------------------------------------------------------------------


@pytest.fixture
def encoded(monkeypatch):
    """Counts the passes of the ViT's first block, as training computes it: with gradient or not."""
    from samzoo.training.encoders import vit

    calls: list[bool] = []
    block = vit._block

    def count(module, x):
        if module.window_size:  # the other one is global
            calls.append(torch.is_grad_enabled())
        return block(module, x)

    monkeypatch.setattr(vit, "_block", count)
    return calls


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_step_passes_the_encoder_once_for_both_objectives(train, encoded, method):
    counts = []
    train(method=method, epochs=1, report=lambda _: counts.append(len(encoded)))
    assert counts == [1, 2, 3]
    assert all(encoded[:3])


def test_a_frozen_encoder_sees_each_distinct_crop_once(train, encoded, tmp_path):
    folder = tmp_path / "run" / "cache"
    counts, files = [], []

    def report(status):
        counts.append(len(encoded))
        files.append(len(list(folder.rglob("*.safetensors"))))

    train(
        method="freeze_encoder", epochs=1, steps_per_epoch=30, augmentation="none",
        n_objects=1, n_sub_iteration=1, report=report,
    )  # fmt: skip
    assert 1 < files[-1] < 30
    assert counts == files
    assert not any(encoded[: files[-1]])
    assert not folder.exists()  # hundreds of megabytes that nobody needs any more


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_an_encoder_stops_learning_when_it_shall(train, encoded, runs, tmp_path, ema_decay):
    """From then on it is its average, sees each crop once and without gradient."""
    settings: dict[str, Any] = {
        "freeze_encoder_after": 0.1, "steps_per_epoch": 15, "augmentation": "none",
        "cached_crops": 2,
    }  # fmt: skip
    seen, found = [], []
    step = Run.step

    def remember(self):
        step(self)
        found.append({n: v.detach().clone() for n, v in self.learner.weights.items()
                      if n.startswith("image_encoder.")})  # fmt: skip

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "step", remember)
        train(ema_decay=ema_decay, report=lambda _: seen.append(len(encoded)), **settings)
    assert all(encoded[:3])  # 0.1 of 30 steps
    crops = seen[14] - 3
    assert 0 < crops < 12
    assert not any(encoded[3 : 3 + crops])
    names = found[0]
    assert any(not torch.equal(found[1][n], found[2][n]) for n in names)
    assert all(torch.equal(found[3][n], found[-1][n]) for n in names)
    if ema_decay:
        assert any(not torch.equal(found[2][n], found[3][n]) for n in names)
    (run,) = runs
    for name, value in run.average.values.items():
        if name.startswith("image_encoder."):
            assert torch.equal(value, run.learner.weights[name])


@pytest.fixture
def block_passes(monkeypatch):
    """Counts how often each block of the ViT computes."""
    from samzoo.training.encoders import vit

    calls: dict[int, int] = {}
    block = vit._block

    def count(module, x):
        calls[id(module)] = calls.get(id(module), 0) + 1
        return block(module, x)

    monkeypatch.setattr(vit, "_block", count)
    return calls


def test_a_late_method_computes_what_is_frozen_once_for_each_crop_and_validation_image(
    train, block_passes, runs
):
    train(method="late_full", steps_per_epoch=8, augmentation="none", cached_crops=1)
    (run,) = runs
    first, last = (block_passes[id(block)] for block in run.sam.image_encoder.blocks)
    crops = run.learner._sampler.n_fixed
    assert crops == 4
    # One validation image, and the last block of each step, of each of two validations, and of the
    # sheet of the worst images.
    assert first == crops + 1
    assert last == 2 * 8 + 2 + 1


def test_without_the_cache_windows_lie_anywhere_and_nothing_frozen_keeps_a_graph(
    train, encoded, tmp_path
):
    def report(status):
        assert not (tmp_path / "run" / "cache").exists()

    train(method="late_full", steps_per_epoch=4, epochs=1, cached_crops=0, report=report)
    assert len(encoded) == 4
    assert not any(encoded)


def test_cached_and_computed_steps_differ_by_the_rounding_of_what_is_stored(train, runs):
    """And the crops of both are the same: what is fixed is drawn."""
    for output, crops in (("a", 8), ("b", 0)):
        train(output, method="late_full", epochs=1, cached_crops=crops)
    cached, computed = runs
    crop = cached.learner._sampler.draw()
    with torch.no_grad():
        found = cached.learner._frozen_output(crop.image, "a")
        expected = computed.learner._frozen_output(crop.image, "a")
    error = (found - expected).abs()
    assert float(error.max()) > 0
    assert float((error / expected.abs().clamp(min=2.0**-14)).max()) <= 2.0**-11


def test_batch_norm_keeps_its_statistics(train, runs, bases):
    train(base="tiny_vit", method="full")
    (run,) = runs
    assert not run.sam.training
    before = read_tensors(bases["tiny_vit"] / "model.safetensors")
    for name, value in run.sam.state_dict().items():
        if "running_" in name:
            np.testing.assert_array_equal(value.numpy(), before[name])


# -- how a run stops -----------------------------------------------------------------------------


def test_it_stops_when_patience_is_over(train, tmp_path):
    train(epochs=9, steps_per_epoch=1, early_stopping=2, learning_rate=1e-9, ais_learning_rate=1e-9)
    log = log_of(tmp_path / "run")
    assert len({line["score"] for line in log}) == 1
    assert len(log) == 3


def test_it_stops_when_time_is_over_and_validates_what_it_has_and_says_so(train, tmp_path):
    notes: list[str] = []
    train(max_minutes=1e-9, note=notes.append)
    assert "training was cut short: max_minutes (1e-09) were over after 1 of 6 steps" in notes[0]
    assert [line["step"] for line in log_of(tmp_path / "run")] == [1]
    assert (tmp_path / "run" / "adapter_config.json").is_file()


def test_a_loss_that_is_not_finite_is_an_error_and_the_last_checkpoint_stays(
    train, tmp_path, monkeypatch
):
    original: Any = distance_loss
    calls: list[None] = []

    def explode(prediction, target, known):
        calls.append(None)
        return original(prediction, target, known) * (float("nan") if len(calls) == 5 else 1.0)

    monkeypatch.setattr(learner, "distance_loss", explode)
    with pytest.raises(InputError, match="the loss became nan at step 4; the last checkpoint is"):
        train()
    assert json.loads(progress_of(tmp_path / "run"))["step"] == 3
    monkeypatch.undo()
    train(resume=True)


def progress_of(folder):
    from samzoo.training.fit.state import read_progress

    return json.dumps(read_progress(folder / LAST))


def test_a_score_of_zero_is_told_and_others_are_not(train, monkeypatch):
    for score, expected in ((0.0, ["the validation score is 0 (ais): not one"]), (0.01, [])):
        monkeypatch.setattr(
            "samzoo.training.fit.run.validate", lambda *_, s=score, **__: {"ais": s, "score": s}
        )
        notes: list[str] = []
        train(f"run {score}", epochs=1, note=notes.append)
        assert [note[: len(text)] for note, text in zip(notes, expected, strict=True)] == expected


def test_weights_that_are_not_finite_are_never_saved(train, tmp_path, monkeypatch):
    step = Run.step

    def explode(self):
        step(self)
        if self.history.step == 6:
            with torch.no_grad():
                next(iter(self.learner.weights.values())).fill_(float("inf"))

    monkeypatch.setattr(Run, "step", explode)
    with pytest.raises(InputError, match="weights became NaN or infinite by step 6"):
        train()
    assert json.loads(progress_of(tmp_path / "run"))["step"] == 3


def test_an_existing_output_is_not_touched(train, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="exists already; resume it or choose another"):
        train()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_data_that_cannot_be_used_is_refused_before_anything_is_written(train, tmp_path):
    empty = Annotated(np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.int32), "empty")
    with pytest.raises(ImageError, match="no training image holds an object"):
        train(train_data=[empty])
    with pytest.raises(ImageError, match="no validation image holds an object"):
        train(val_data=[empty])
    small = dataclasses.replace(
        empty, labels=np.eye(64, dtype=np.int32)[::-1] * (np.arange(64) < 9)
    )
    with pytest.raises(ImageError, match="empty: no object of at least 20 pixels"):
        train(val_data=[small])
    with pytest.raises(InputError, match="val_data: expected at least one image"):
        train(val_data=[])
    with pytest.raises(InputError, match="unknown method 'x'"):
        train(method="x")
    with pytest.raises(FormatError, match=r"config: hyperparameters\.rank: allowed is 1 to 1024"):
        train(hyperparameters={"rank": 0})
    assert not (tmp_path / "run").exists()


def test_out_of_memory_is_answered_with_what_takes_less(train, tmp_path, monkeypatch):
    def full(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1")

    monkeypatch.setattr("samzoo.training.planning.shortage.what_takes_less", lambda *_: "less")
    with monkeypatch.context() as patch:
        patch.setattr(learner.Learner, "step", full)
        with pytest.raises(InputError, match=r"^less$"):
            train()
    monkeypatch.setattr(learner.Learner, "step", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train("other")


# -- going on ------------------------------------------------------------------------------------

RUNS: dict[str, dict[str, Any]] = {
    "lora, average, jitter": {
        "method": "lora", "ema_decay": 0.9, "intensity_jitter": 0.3, "augmentation": "dihedral",
    },
    "lora, bfloat16": {"method": "lora", "base": "tiny_vit", "precision": "bf16-mixed"},
    "frozen encoder, cosine": {"method": "freeze_encoder", "scheduler": "cosine"},
    "lora, frozen on the way": {
        "method": "lora", "freeze_encoder_after": 0.3, "ema_decay": 0.9, "augmentation": "none",
    },
    "late full, cached": {
        "method": "late_full", "cached_crops": 2, "intensity_jitter": 0.3, "ema_decay": 0.9,
        "augmentation": "dihedral",
    },
    "lora, batches": {"method": "lora", "batch_size": 2, "accumulate": 2, "ema_decay": 0.9},
    "late lora, batches, cached": {
        "method": "late_lora", "batch_size": 2, "accumulate": 2, "recompute_blocks": True,
    },
    "late lora, bfloat16, cached": {
        "method": "late_lora", "base": "tiny_vit", "precision": "bf16-mixed",
    },
    "full, no decoder": {
        "method": "full", **NO_DECODER, "validation_tasks": ("point",), "mask_prob": 1.0,
    },
}  # fmt: skip


def assert_same_runs(a, b):
    """Two run folders agree in all but the time they took."""
    for name in (LAST, BEST, "adapter_model.safetensors"):
        first, second = read_tensors(a / name), read_tensors(b / name)
        assert set(first) == set(second)
        for key, value in first.items():
            np.testing.assert_array_equal(value, second[key], err_msg=f"{name}: {key}")
    logs = [[{**line, "seconds": 0} for line in log_of(folder)] for folder in (a, b)]
    assert logs[0] == logs[1]


def settings_of(method):
    """Settings of a short run with accumulation; late methods have cached crops by themselves."""
    few = LORA if method in ("lora", "qlora") else {}
    return {"method": method, "accumulate": 2, "epochs": 1, "hyperparameters": few}


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(name, marks=[] if name in ("fact", "late_qlora") else [pytest.mark.slow])
        for name in ALL_METHODS
    ],
)
def test_every_method_goes_on_within_an_epoch_bit_by_bit(train, tmp_path, method):
    if get_method(method).quantized is not None:
        pytest.importorskip("bitsandbytes")
    train("whole", **settings_of(method))
    with pytest.raises(fit.Stopped):
        train("parts", report=stop_at(2), **settings_of(method))
    train("parts", resume=True, **settings_of(method))
    assert_same_runs(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("name", RUNS)
def test_an_interrupted_run_ends_like_an_uninterrupted_one(train, tmp_path, name):
    steps = (1, 3, 5)  # within an epoch, before its validation, within the next
    train("whole", **RUNS[name])
    for i, step in enumerate(steps):
        with pytest.raises(KeyboardInterrupt):
            train("parts", resume=i > 0, report=stop_at(step), **RUNS[name])
    statuses: list[fit.Status] = []
    train("parts", resume=True, report=statuses.append, **RUNS[name])
    assert statuses[0].step == steps[-1] + 1
    assert_same_runs(tmp_path / "whole", tmp_path / "parts")


@pytest.fixture(scope="module")
def whole(bases, tmp_path_factory):
    """Folder of an uninterrupted run with LoRA."""
    output = tmp_path_factory.mktemp("whole") / "run"
    fit.train(
        base=bases["vit"],
        train_data=[annotated(0, (80, 90))],
        val_data=[annotated(1)],
        method="lora",
        config=dataclasses.replace(CONFIG, hyperparameters=LORA),
        output=output,
    )
    return output


@pytest.mark.skipif(os.name == "nt", reason="os.kill ends the process on Windows")
@pytest.mark.parametrize("where", ["distance_loss", "interactive_step"])
def test_ctrl_c_inside_of_a_step_waits_for_its_end(train, whole, tmp_path, monkeypatch, where):
    original: Any = getattr(learner, where)
    calls: list[None] = []

    def interrupted(*args, **kwargs):
        calls.append(None)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(learner, where, interrupted)
        with pytest.raises(KeyboardInterrupt):
            train("parts")
    assert json.loads(progress_of(tmp_path / "parts"))["step"] == 2
    train("parts", resume=True)
    assert_same_runs(whole, tmp_path / "parts")


@pytest.mark.parametrize("epoch", [1, 2])
def test_an_interrupted_validation_is_done_again(train, tmp_path, monkeypatch, epoch):
    from samzoo.training.fit import run

    train("whole", ema_decay=0.9)
    original: Any = validate
    calls: list[None] = []

    def interrupted(*args, **kwargs):
        calls.append(None)
        if len(calls) == epoch:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(run, "validate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train("parts", ema_decay=0.9)
    train("parts", ema_decay=0.9, resume=True)
    assert_same_runs(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("failing", [1, 2, 4, 7, 9, 10, 12, 15, 17])
def test_a_full_disk_leaves_a_run_that_can_go_on(train, whole, tmp_path, monkeypatch, failing):
    """The n-th file cannot be written: last, then best, three of the adapter, two of the course.

    Before the last of an epoch comes the one before it, which is a spare.
    """
    replace = os.replace
    calls: list[str] = []

    def full(source, target):
        calls.append(target)
        if len(calls) == failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(source, target)

    last = tmp_path / "parts" / LAST
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        patch.setattr(
            "samzoo.training.fit.run.validate",
            lambda *_, **__: {"ais": 0.0, "score": len(calls) + 1.0},
        )
        with pytest.raises(StorageError, match=r"cannot be written .No space left on device"):
            train("parts")
    assert last.exists() == (failing > 1)
    if last.exists():
        assert json.loads(progress_of(tmp_path / "parts"))["step"] == (0 if failing <= 9 else 3)
    assert not list(last.parent.glob(".*"))
    train("parts", resume=last.exists())
    expected, found = read_tensors(whole / LAST), read_tensors(last)
    for name, value in expected.items():
        np.testing.assert_array_equal(value, found[name])


def test_a_log_that_cannot_be_written_is_a_storage_error(train, tmp_path):
    def block(status):
        (tmp_path / "run" / LOG).mkdir(parents=True)

    with pytest.raises(StorageError, match=r"log.jsonl: cannot be written"):
        train(steps_per_epoch=1, report=block)


def test_a_finished_run_can_be_resumed_and_gives_the_same_adapter(train, tmp_path):
    first = train()
    digest = read_adapter(tmp_path / "run")[0].adapter_digest
    statuses: list[fit.Status] = []
    assert train(resume=True, report=statuses.append) == first
    assert statuses == []
    assert read_adapter(tmp_path / "run")[0].adapter_digest == digest
    assert len(log_of(tmp_path / "run")) == 2


def test_there_must_be_something_to_resume(train, tmp_path):
    with pytest.raises(NotFoundError, match="there is no run to resume"):
        train(resume=True)
    assert not (tmp_path / "run").exists()


def test_a_finished_run_goes_on_when_it_is_made_longer(train, tmp_path):
    """And does not fall back to steps without corrections, of which it has done enough."""
    settings: dict[str, Any] = {"corrections_after": 0.5, "scheduler": "cosine"}
    train(**settings)
    assert progress_of(tmp_path / "run")
    train(epochs=5, resume=True, **settings)
    log = log_of(tmp_path / "run")
    assert [line["epoch"] for line in log] == [1, 2, 3, 4, 5]
    assert log[2]["learning_rate"] > log[1]["learning_rate"]  # the cosine is as long as the run
    training = read_adapter(tmp_path / "run")[0].source["training"]
    assert training["steps"] == 15
    assert training["config"]["epochs"] == 5


def test_a_run_that_was_made_longer_keeps_its_corrections(train, monkeypatch):
    rounds = []

    def spy(sam, embeddings, labels, ids, settings, **options):
        rounds.append(settings.n_sub_iteration)
        return interactive_step(sam, embeddings, labels, ids, settings, **options)

    monkeypatch.setattr(learner, "interactive_step", spy)
    train(corrections_after=0.5, epochs=2)
    train(corrections_after=0.5, epochs=8, resume=True)
    assert rounds == [1, 1, 1, *(21 * [2])]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"learning_rate": 2e-3}, r"learning_rate: now 0\.002, then 0\.001"),
        ({"ema_decay": 0.5}, r"ema_decay: now 0\.5, then 0\.0"),
        ({"seed": 1}, "seed: now 1, then 0"),
        ({"hyperparameters": {"rank": 4}}, "hyperparameters: now .*'rank': 4"),
        ({**NO_DECODER, "validation_tasks": ("point",)}, "ais_decoder: now None, then"),
        ({"method": "full"}, "method: now 'full', then 'lora'"),
        ({"base": "tiny_vit"}, "base_digest: now 'sha256:"),
        ({"precision": "bf16-mixed"}, "precision: now 'bf16-mixed', then 'auto'"),
        ({"train_data": [annotated(5, (80, 90))]}, "the training image cells 5 is new"),
        ({"val_data": [annotated(2)]}, "the validation image cells 2 is new"),
    ],
)
def test_other_settings_cannot_resume_a_run(train, tmp_path, changes, key):
    with pytest.raises(KeyboardInterrupt):
        train(report=stop_at(2))
    before = (tmp_path / "run" / LAST).read_bytes()
    with pytest.raises(InputError, match=f"this run was started with something else: .*{key}"):
        train(resume=True, **changes)
    assert (tmp_path / "run" / LAST).read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"nothing", BEST])
def test_a_damaged_or_foreign_checkpoint_is_an_error(train, tmp_path, content):
    train(epochs=1)
    folder = tmp_path / "run"
    (folder / LAST).write_bytes(content if isinstance(content, bytes) else
                                (folder / content).read_bytes())  # fmt: skip
    (folder / PREVIOUS).unlink()
    with pytest.raises(FormatError, match=r"last.safetensors: not"):
        train(epochs=1, resume=True)


def test_a_run_stopped_before_its_first_validation_when_time_is_over_still_ends(train, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(max_minutes=1e-9, report=stop_at(1))
    assert train(max_minutes=1e-9, resume=True)
    assert (tmp_path / "run" / "adapter_config.json").is_file()


def test_train_and_status_are_names_of_the_module():
    assert fit.__all__ == ["Report", "Status", "Stopped", "train"]
    assert partial(fit.Status, step=1, total=2)(loss=0.1, score=None, best=None, seconds_left=0.0)


def test_validation_on_a_training_image_is_refused_before_anything_is_written(train, tmp_path):
    seen = annotated(0, (80, 90))
    turned = dataclasses.replace(
        seen, image=np.rot90(seen.image.astype(np.uint16) * 3), labels=np.rot90(seen.labels),
        name="turned",
    )  # fmt: skip
    with pytest.raises(InputError, match=r"1 of 2 validation images .* turned is cells"):
        train(train_data=[seen], val_data=[annotated(1), turned])
    assert not (tmp_path / "run").exists()


def test_a_run_with_ignored_pixels_and_empty_images_ends_and_names_its_images(train, tmp_path):
    partly, whole = annotated(0, (80, 90)), annotated(1)
    labels = partly.labels.copy()
    labels[:, 60:] = -1
    black = Annotated(np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.int32), "empty")
    scores = train(
        train_data=[dataclasses.replace(partly, labels=labels, content="whole file"), black],
        val_data=[whole, dataclasses.replace(black, image=black.image + 1)],
    )
    assert all(np.isfinite(score) for score in scores.values())
    config, _ = read_adapter(tmp_path / "run")
    assert config.source["training"]["contents"] == {
        "training": sorted(["whole file", content_identity(partly.image)]),
        "validation": [content_identity(whole.image)],
    }


def test_a_part_validates_each_epoch_and_all_score_the_best_at_the_end(train, runs, tmp_path):
    val_data = [annotated(seed) for seed in (1, 2, 3)]
    tasks = ("ais", "box")
    scores = train(
        val_data=val_data, validation_images=1, validation_objects=1, validation_tasks=tasks
    )
    log = log_of(tmp_path / "run")
    assert [(line["epoch"], line["validated"]) for line in log[:2]] == [(1, "part"), (2, "part")]
    best = max(log[:2], key=lambda line: line["score"])
    assert log[2] == {"epoch": best["epoch"], "validated": "all", **scores}
    (run,) = runs
    (chosen,) = after_an_epoch(val_data, run.config)
    expected = validate(run._model, [chosen], tasks, run.config, most_prompted=1)
    assert {name: best[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert scores == pytest.approx(validate(run._model, val_data, tasks, run.config), abs=1e-6)
    assert read_adapter(tmp_path / "run")[0].source["training"]["validation"] == scores


def test_where_memory_is_short_blocks_are_computed_again_to_the_same_result(
    train, runs, tmp_path, monkeypatch
):
    from samzoo.training.planning import machine, memory_choice

    train("plenty", method="full")
    little = machine.Machine("cpu", "2 cores", 2**30, 2**20, 0)
    monkeypatch.setattr(memory_choice, "this_machine", lambda **_: little)
    told: list[str] = []
    train("little", method="full", recompute_blocks="auto", note=told.append)
    assert [run.learner._config.recompute_blocks for run in runs] == [False, True]
    assert "recompute_blocks is on: the run needs about " in told[0]
    assert "freed memory goes back to the system" in told[1]
    assert_same_runs(tmp_path / "plenty", tmp_path / "little")
    # It changes nothing but memory and time, so a run may go on without it.
    train("little", method="full", epochs=3, resume=True)
    assert runs[-1].history.epoch == 3
