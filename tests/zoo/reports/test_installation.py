"""The doctor: what it tells of a healthy and of a broken installation."""

import subprocess
import sys
import tempfile
import tomllib
from importlib import util
from pathlib import Path

import pytest

from samzoo.runtime.dependencies import install_advice, install_command
from samzoo.runtime.errors import FormatError, InputError
from samzoo.zoo.cli import main
from samzoo.zoo.hub import default_choice, names
from samzoo.zoo.reports import installation as doctor
from samzoo.zoo.reports.installation import check_installation
from samzoo.zoo.reports.requirements import GROUPS

PYPROJECT = Path(__file__).resolve().parents[3] / "pyproject.toml"


@pytest.fixture
def healthy(toy_package, monkeypatch):
    """The toy model in the place of the default one."""
    monkeypatch.setattr(names, "resolve", lambda name: toy_package)
    monkeypatch.setattr(names, "load", lambda _: load_package(toy_package))


def load_package(folder):
    from samzoo.runtime import load

    return load(folder)


def names_of(requirements):
    return {requirement.split(";")[0].split(">")[0].split("=")[0] for requirement in requirements}


def test_the_groups_are_those_of_pyproject():
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    assert names_of(project["dependencies"]) == set(GROUPS["core"])
    for group in ("train", "export"):
        assert names_of(project["optional-dependencies"][group]) == set(GROUPS[group])


def test_a_healthy_installation_is_ok(healthy):
    report = check_installation()
    assert report["ok"], report["problems"]
    assert report["problems"] == []
    assert report["packages"]["core"]["numpy"].count(".") == 2
    assert report["versions"]["python"] == sys.version.split()[0]
    assert report["cpus"] >= 1
    assert report["free_bytes"] > 0
    assert set(report["default_model"]["seconds"]) == {"load_and_embed", "segment"}
    assert "Segmenting works." in report["text"]


def test_missing_extras_are_no_problem_but_told_with_their_command(healthy, monkeypatch):
    real = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda n: None if n == "torch" else real(n))
    report = check_installation()
    assert report["ok"]
    assert report["packages"]["train"]["torch"] is None
    assert f"missing; run: {install_command('train')}" in report["text"]
    assert f"missing; run: {install_command('export')}" in report["text"]


def test_providers_are_listed_with_the_packages_that_bring_others(healthy, monkeypatch):
    import onnxruntime

    there = ["CUDAExecutionProvider", "AzureExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)
    report = check_installation()
    assert report["providers"] == ["cpu", "cuda"]
    assert "cpu, cuda; not here: coreml with onnxruntime (macOS), openvino with" in report["text"]


def test_a_missing_core_package_is_a_problem(healthy, monkeypatch):
    real = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda n: None if n == "tqdm" else real(n))
    report = check_installation()
    assert not report["ok"]
    assert report["problems"] == [f"tqdm is not installed, and samzoo needs it; {install_advice()}"]
    assert report["default_model"]["error"] == "not tried, because of the problems below"


def test_the_doctor_names_the_default_model():
    assert doctor.DEFAULT_MODEL == default_choice.DEFAULT_MODEL


def test_a_damaged_default_model_is_a_problem_and_exit_2(healthy, monkeypatch, capsys):
    def damaged(_):
        raise FormatError("encoder.onnx: damaged")

    monkeypatch.setattr(names, "load", damaged)
    report = check_installation()
    assert report["default_model"]["error"] == "encoder.onnx: damaged"
    assert "pip install" in report["problems"][0]
    assert main(["doctor"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "the installation has problems" in err
    assert "encoder.onnx: damaged" in err
    assert "Traceback" not in err


def test_no_temporary_folder_is_told(healthy, monkeypatch):
    def none():
        raise FileNotFoundError("No usable temporary directory")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    report = check_installation()
    assert report["free_bytes"] is None
    assert "set TMPDIR" in report["text"]


def test_little_space_is_told(healthy, monkeypatch):
    monkeypatch.setattr(doctor, "MIN_FREE_BYTES", 2**80)
    assert "delete files or set TMPDIR" in check_installation()["text"]


def test_the_doctor_of_this_installation_loads_no_torch(tmp_path):
    code = (
        "import sys\n"
        "from samzoo.zoo.cli import main\n"
        "status = main(['doctor', '--json'])\n"
        "loaded = [n for n in ('torch', 'onnx', 'segment_anything') if n in sys.modules]\n"
        "sys.exit(f'{status} {loaded}' if status or loaded else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


def test_the_report_of_problems_is_an_input_error(monkeypatch):
    from samzoo.zoo.cli.files.doctor import DoctorOptions, run

    monkeypatch.setattr(doctor, "check_installation", lambda: {"ok": False, "text": "table"})
    with pytest.raises(InputError, match="table"):
        run(DoctorOptions())


@pytest.mark.parametrize(
    ("version", "broken"), [("2.13.5", False), ("2.14.0", True), ("2.14.3", True), ("3.0", True)]
)
def test_a_pydantic_that_breaks_bioimageio_is_told(version, broken):
    from samzoo.zoo.reports.installation import _bioimageio_problems

    problems = _bioimageio_problems(version)
    assert bool(problems) == broken
    assert all("pip install 'pydantic<2.14'" in problem for problem in problems)
