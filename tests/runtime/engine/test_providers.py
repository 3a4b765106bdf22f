"""Providers: asked for by a short name, refused with advice, and never silently another one."""

import subprocess
import sys
from typing import Any

import numpy as np
import onnxruntime
import pytest

from samzoo.runtime import load
from samzoo.runtime.engine.providers import (
    PROVIDERS,
    available_providers,
    check_provider,
    session_providers,
)
from samzoo.runtime.errors import FormatError, InputError, MissingDependencyError

IMAGE = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
CPU_NAME = "CPUExecutionProvider"


class FakeSession:
    """A real session on the CPU that says to run on ``runs_on``."""

    def __init__(self, real, runs_on, made):
        self._real, self._runs_on, self._made = real, runs_on, made

    def get_providers(self):
        return self._runs_on

    def disable_fallback(self):
        self._made["fallback"] = "disabled"

    def __getattr__(self, name):
        return getattr(self._real, name)


@pytest.fixture
def build(monkeypatch):
    """Pretend that onnxruntime has providers; returns what sessions were made with."""

    def build(*names, runs_on=None):
        there = [*(PROVIDERS[name].onnxruntime for name in names), CPU_NAME]
        made: list[dict[str, Any]] = []
        real = onnxruntime.InferenceSession

        def make(graph, options, **arguments):
            made.append({"options": options, **arguments})
            session = real(graph, options, providers=[CPU_NAME])
            return FakeSession(session, runs_on or there, made[-1])

        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)
        monkeypatch.setattr(onnxruntime, "InferenceSession", make)
        return made

    return build


def test_the_cpu_is_the_default_and_gives_what_it_gives_by_name(toy_package):
    expected = load(toy_package).embed(IMAGE).values
    np.testing.assert_array_equal(load(toy_package, provider="cpu").embed(IMAGE).values, expected)


def test_this_onnxruntime_has_the_cpu():
    assert "cpu" in available_providers()


def test_available_providers_are_told_by_their_short_names(build):
    build("openvino", "cuda")
    assert available_providers() == ["cpu", "cuda", "openvino"]


@pytest.mark.parametrize("name", ["CPU", "gpu", "CUDAExecutionProvider", ""])
def test_an_unknown_name_lists_the_known_ones(toy_package, name):
    with pytest.raises(
        InputError,
        match=f"provider: found '{name}', allowed are cpu, cuda, coreml, openvino, directml",
    ):
        load(toy_package, provider=name)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("cuda", "comes with the package onnxruntime-gpu .*, which replaces onnxruntime: run pip"),
        ("openvino", "then pip install onnxruntime-openvino"),
        ("directml", "then pip install onnxruntime-directml"),
        ("coreml", "it is part of the package onnxruntime on macOS"),
    ],
)
def test_a_provider_that_is_not_there_is_refused_before_any_work(toy_package, build, name, advice):
    made = build()
    with pytest.raises(
        MissingDependencyError,
        match=rf"provider '{name}' is not in this onnxruntime [\d.]+, which has cpu; .*{advice}",
    ):
        load(toy_package, provider=name)
    assert made == []


@pytest.mark.parametrize("name", [name for name in PROVIDERS if name != "cpu"])
def test_the_wanted_provider_comes_first_and_the_cpu_takes_the_rest(toy_package, build, name):
    made = build(name)
    load(toy_package, provider=name).embed(IMAGE)
    (session,) = made
    assert session["providers"] == [(PROVIDERS[name].onnxruntime, {}), CPU_NAME]
    assert session["enable_fallback"] == 0
    assert session["fallback"] == "disabled"
    assert not session["options"].enable_mem_pattern


def test_threads_reach_onnxruntime_and_a_provider_with_its_own_option(toy_package, build):
    made = build("openvino")
    load(toy_package, provider="openvino", threads=2).embed(IMAGE)
    assert made[0]["options"].intra_op_num_threads == 2
    assert made[0]["providers"][0][1] == {"num_of_threads": "2"}
    assert session_providers("cuda", 2)[0][1] == {}
    assert session_providers("cpu", 2) == [CPU_NAME]


def test_a_provider_that_onnxruntime_drops_silently_is_an_error(toy_package, build):
    build("cuda", runs_on=[CPU_NAME])
    model = load(toy_package, provider="cuda")
    for _ in range(2):  # the refused session is not kept
        with pytest.raises(
            MissingDependencyError,
            match="provider 'cuda' is in this onnxruntime but did not load, so the session "
            "would run on CPU; install the driver and libraries that onnxruntime-gpu needs",
        ):
            model.embed(IMAGE)


def test_a_provider_that_fails_is_named_and_nothing_is_printed(
    toy_package, build, monkeypatch, capfd
):
    build("directml")
    model = load(toy_package, provider="directml")

    def refuse(*_, **__):
        raise RuntimeError("no device")

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    with pytest.raises(FormatError, match=r"for provider 'directml' \(no device\)"):
        model.embed(IMAGE)
    assert capfd.readouterr() == ("", "")


def test_the_real_onnxruntime_knows_how_a_session_is_kept_from_falling_back(
    toy_package, monkeypatch
):
    real, made = onnxruntime.InferenceSession, []

    def keep(*arguments, **options):
        made.append(real(*arguments, **options))
        return made[0]

    monkeypatch.setattr(onnxruntime, "InferenceSession", keep)
    load(toy_package).embed(IMAGE)
    assert made[0].get_providers() == [CPU_NAME]
    assert made[0]._enable_fallback is False


def test_asking_for_the_cpu_does_not_load_onnxruntime(tmp_path):
    code = (
        "import sys\n"
        "from samzoo.runtime.engine.providers import check_provider\n"
        "check_provider('cpu')\n"
        "sys.exit('onnxruntime' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("name", ["openvino", "coreml", "directml"])
def test_factors_and_modes_that_a_provider_would_ignore_are_refused(
    make_shared_package, toy_package, build, tmp_path, name
):
    """onnxruntime-openvino 1.24.1 computes the base's embeddings, whatever adapter is in use."""
    build(name)
    shared = load(make_shared_package(tmp_path / "shared", gains={"dark": 0.5}), provider=name)
    with pytest.raises(
        InputError,
        match=f"provider '{name}' cannot be relied on to take the encoder graph's optional inputs "
        r"\('gain.lora_a'\).*choose one of the providers cpu, cuda",
    ):
        shared.embed(IMAGE)
    model = load(toy_package, provider=name)
    assert model.segment(IMAGE).shape == IMAGE.shape
    with pytest.raises(InputError, match="take the mask_decoder graph's optional inputs"):
        model.segment(IMAGE, mode="amg")


def test_providers_that_take_optional_inputs_give_what_the_cpu_gives(
    make_shared_package, build, tmp_path
):
    package = make_shared_package(tmp_path / "shared", gains={"dark": 0.5})
    expected = load(package).embed(IMAGE).values
    build("cuda")
    np.testing.assert_array_equal(load(package, provider="cuda").embed(IMAGE).values, expected)


def test_check_provider_returns_the_name(build):
    build("coreml")
    assert check_provider("coreml") == "coreml"
