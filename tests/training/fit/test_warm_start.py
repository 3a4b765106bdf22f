"""A run that begins from an adapter: what it computes at first, what it records and refuses."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import FormatError, InputError, NotFoundError
from samzoo.runtime.formats import adapter as files
from samzoo.runtime.formats.config import ModelConfig, Preprocessing
from samzoo.runtime.formats.files import read_tensors
from samzoo.training.config import TrainConfig

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytestmark = pytest.mark.torch

from samzoo.training.data.annotated import Annotated  # noqa: E402
from samzoo.training.fit import loop as fit  # noqa: E402
from samzoo.training.fit.readiness import LAST  # noqa: E402
from samzoo.training.fit.run import Run  # noqa: E402
from samzoo.training.fit.state import read_progress  # noqa: E402
from samzoo.training.fit.warm_start import beginning  # noqa: E402

CONFIG = TrainConfig(
    epochs=1,
    steps_per_epoch=2,
    early_stopping=0,
    learning_rate=0.02,
    ais_learning_rate=0.02,
    n_objects=2,
    n_sub_iteration=1,
    ais_decoder=tiny.AIS_DECODER,
    search_ais=False,
    validation_tasks=("ais",),
    preprocessing=Preprocessing(scale=1.0),
)
STILL = {"learning_rate": 1e-12, "ais_learning_rate": 1e-12}
"""Learning rates without an effect."""

LORA = {"rank": 2}
DECODER_LORA = {"rank": 2, "mask_decoder_rank": 3}
CASES = {
    "lora": ("lora", LORA),
    "lora on the mask decoder": ("lora", DECODER_LORA),
    "full": ("full", {}),
    "adaptformer": ("adaptformer", {}),
}

TOLERANCE = 1e-5
"""Relative to the largest value: a fold, an SVD and two more roundings to float32."""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A base without an AIS decoder, whose statistics are learned."""
    folder = tmp_path_factory.mktemp("base") / "base"
    return tiny.write_base(folder, tiny.make_sam(tiny.make_config("tiny_vit", ais=False)))


def annotated(seed):
    image, labels = tiny.make_cells((64, 64), seed)
    return Annotated(image, labels, f"cells {seed}")


def whole_run(base, output, *, method="lora", hyperparameters=LORA, seeds=(0, 1), **changes):
    """Train, and return the run as it was at its end."""
    named = ("resume", "start", "report")
    arguments = {name: changes.pop(name) for name in named if name in changes}
    found, finish = [], Run.finish

    def remember(run):
        found.append(run)
        return finish(run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "finish", remember)
        fit.train(
            base=base, method=method, output=output, train_data=[annotated(seeds[0])],
            val_data=[annotated(seeds[1])],
            config=dataclasses.replace(CONFIG, hyperparameters=hyperparameters, **changes),
            **arguments,
        )  # fmt: skip
    return found[0]


@pytest.fixture(scope="module")
def finished(base, tmp_path_factory):
    """Runs that ended, by case; each is trained when it is first asked for."""
    folder, found = tmp_path_factory.mktemp("finished"), {}

    def run(case="lora"):
        if case not in found:
            method, hyperparameters = CASES[case]
            found[case] = whole_run(
                base, folder / case, method=method, hyperparameters=hyperparameters
            )
        return found[case]

    return run


@pytest.fixture
def train(base, tmp_path):
    """Train into ``tmp_path / output``, and return the run as it was at its end."""
    return lambda output, **changes: whole_run(base, tmp_path / output, **changes)


@pytest.fixture
def begun(base, tmp_path):
    """Begin a run of a case, with another seed and other images, and take a step."""

    def begun(case, start=None, **changes):
        method, hyperparameters = CASES[case]
        config = dataclasses.replace(CONFIG, hyperparameters=hyperparameters, seed=7, **changes)
        begin = None
        if start is not None:
            base_config = ModelConfig.read(base / "config.json")
            begin = beginning(
                start, base=base, base_config=base_config, method=method, config=config
            )
        run = Run(
            base, [annotated(2)], [annotated(3)], method, config, tmp_path / "run", begin=begin
        )
        run.step()
        return run

    return begun


@torch.no_grad()
def predictions(sam):
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    points = (torch.tensor([[[20.0, 30.0]]]), torch.ones(1, 1))
    embeddings = sam.embed(image)
    masks, iou = sam.decode(embeddings, points=points, multimask_output=True)
    return [embeddings, masks, iou, sam.ais_decoder(embeddings)]


@pytest.mark.parametrize("case", CASES)
def test_without_learning_a_warm_start_predicts_what_it_started_from(finished, begun, case):
    first = finished(case)
    again, fresh = begun(case, first.output, **STILL), begun(case, **STILL)
    everything = (predictions(run.sam) for run in (first, again, fresh))
    for expected, found, other in zip(*everything, strict=True):
        scale = float(expected.abs().max())
        assert float((found - expected).abs().max()) <= TOLERANCE * scale
        assert float((other - expected).abs().max()) > 100 * TOLERANCE * scale


def test_a_factor_that_starts_at_nothing_can_learn(base, finished, begun, tmp_path):
    """A layer that did not change has a new A, not one of 0."""
    case = "lora on the mask decoder"
    config, tensors = files.read_adapter(finished(case).output)
    name = "mask_decoder.transformer.final_attn_token_to_image.q_proj"
    own = read_tensors(base / "model.safetensors")[f"{name}.weight"]
    (tmp_path / "start").mkdir()
    files.write_adapter(tmp_path / "start", config, {**tensors, f"{name}.weight": own})
    weights = begun(case, tmp_path / "start").learner.weights
    for factor in ("lora_a", "lora_b"):
        assert float(weights[f"{name}.{factor}.q_proj"].detach().abs().max()) > 0


def test_the_start_is_recorded_and_what_it_had_seen(finished, train, tmp_path):
    first = finished().output
    train("second", start=first, seeds=(2, 1))
    train("third", start=tmp_path / "second", seeds=(3, 1))
    folders = (first, tmp_path / "second", tmp_path / "third")
    configs = [files.read_adapter_config(each / "adapter_config.json") for each in folders]
    sources = [config.source["training"] for config in configs]
    assert "start" not in sources[0]
    for previous, name, source in zip(configs, ("lora", "second"), sources[1:], strict=False):
        assert source["start"] == {"name": name, "digest": previous.adapter_digest}
    own = [annotated(seed).identity for seed in (0, 2, 3)]
    assert sources[2]["contents"]["training"] == sorted(own)


def test_images_that_the_start_has_learned_cannot_validate(finished, train, tmp_path):
    with pytest.raises(InputError, match="cells 0 is one that lora has seen"):
        train("second", start=finished().output, seeds=(2, 0))
    assert not (tmp_path / "second").exists()


def test_a_run_goes_on_without_its_start_and_refuses_another(base, finished, train, tmp_path):
    def stop(status):
        if status.step == 1:
            raise KeyboardInterrupt

    shutil.copytree(finished().output, tmp_path / "first")
    whole = train("whole", start=tmp_path / "first", seeds=(2, 1))
    with pytest.raises(KeyboardInterrupt):
        train("parts", start=tmp_path / "first", seeds=(2, 1), report=stop)
    assert read_progress(tmp_path / "parts" / LAST)["settings"]["start"]["name"] == "first"
    with pytest.raises(InputError, match=r"started from first \(\S+\), now it is given whole \("):
        train("parts", start=tmp_path / "whole", seeds=(2, 1), resume=True)
    # The folder is not read again, and the same adapter elsewhere is no other.
    (tmp_path / "first").rename(tmp_path / "moved")
    for given in ({}, {"start": tmp_path / "moved"}):
        parts = train("parts", seeds=(2, 1), resume=True, **given)
        assert parts.begin.start.name == "first"
        for name, value in whole.learner.weights.items():
            other = parts.learner.weights[name]
            np.testing.assert_array_equal(value.detach(), other.detach(), name)


def test_a_run_without_a_start_gets_none_later(base, finished):
    run = finished()
    with pytest.raises(InputError, match="did not start from an adapter, now it is given lora"):
        whole_run(base, run.output, start=run.output, resume=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "late_lora"}, "method: it has 'lora', this run 'late_lora'"),
        ({"hyperparameters": {"rank": 4}}, "hyperparameters.rank: it has 2, this run 4"),
        ({"hyperparameters": DECODER_LORA}, "hyperparameters.mask_decoder_rank: it has 0, this"),
        ({"ais_decoder": tiny.UNETR_DECODER}, r"ais_decoder: it has LightDecoderConfig\(.*UnetrD"),
    ],
)
def test_everything_that_differs_is_named(finished, train, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        train("second", start=finished().output, **changes)
    assert not (tmp_path / "second").exists()


def test_several_differences_and_another_base_are_named_together(finished, train, tmp_path):
    shutil.copytree(finished().output, tmp_path / "first")
    path = tmp_path / "first" / "adapter_config.json"
    value = json.loads(path.read_text())
    value["base_digest"] = "other"
    path.write_text(json.dumps(value))
    with pytest.raises(InputError, match=r"base: it has other, .*; hyperparameters.rank: it has 2"):
        train("second", start=tmp_path / "first", hyperparameters={"rank": 3})


def test_a_folder_without_an_adapter_is_told(train, tmp_path):
    with pytest.raises(NotFoundError, match="none: holds no adapter to start from"):
        train("run", start=tmp_path / "none")


def test_a_mask_decoder_that_changed_in_another_way_is_refused(finished, begun, tmp_path):
    case = "lora on the mask decoder"
    config, tensors = files.read_adapter(finished(case).output)
    (tmp_path / "first").mkdir()
    name = next(n for n in tensors if n.startswith("mask_decoder.") and "q_proj.weight" in n)
    noise = np.random.default_rng(0).standard_normal(tensors[name].shape).astype(np.float32)
    files.write_adapter(tmp_path / "first", config, {**tensors, name: tensors[name] + noise})
    with pytest.raises(InputError, match=rf"{name}: differs from the base's by a matrix of rank"):
        begun(case, tmp_path / "first")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors, name: tensors.pop(name), "is missing"),
        (lambda tensors, name: tensors.update(extra=tensors[name]), "'extra' is unknown"),
        (lambda tensors, name: tensors.update({name: tensors[name][:1]}), "expected shape"),
        (
            lambda tensors, name: tensors.update({name: tensors[name] * np.nan}),
            "holds NaN or infinite values",
        ),
    ],
)
def test_a_damaged_start_is_refused(finished, begun, tmp_path, change, message):
    config, tensors = files.read_adapter(finished().output)
    change(tensors, next(n for n in tensors if n.startswith("image_encoder.")))
    (tmp_path / "first").mkdir()
    files.write_adapter(tmp_path / "first", config, tensors)
    with pytest.raises(FormatError, match=message):
        begun("lora", tmp_path / "first")
