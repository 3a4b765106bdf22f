"""A broken installation is told in a sentence, by every verb and by the doctor."""

import subprocess
import sys
from pathlib import Path

import pytest

from samzoo.runtime.dependencies import install_advice
from samzoo.zoo.reports import requirements
from samzoo.zoo.reports.requirements import GROUPS, core_faults, import_fault

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "nuclei.tif"

BREAK = """
import sys
kind, module, image, out = sys.argv[1:]
if kind == "missing":
    sys.modules[module] = None
else:
    sys.path.insert(0, ".")
from samzoo.zoo.cli import main
for words in (["segment", image, "-o", out], ["doctor"]):
    assert main(words) == 2, words
"""


def run_broken(kind, module, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", BREAK, kind, module, str(EXAMPLE), str(tmp_path / "out.tif")],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "internal error" not in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "out.tif").exists()
    return done.stderr


@pytest.mark.parametrize("package", ["bioimage-cpp", "numpy", "onnxruntime"])
def test_without_a_required_package_segment_and_doctor_say_so(package, tmp_path):
    told = run_broken("missing", GROUPS["core"][package], tmp_path)
    assert f"problem: {package} is not installed, and samzoo needs it; {install_advice()}" in told
    assert "the installation has problems" in told


def test_a_package_that_does_not_load_is_told(tmp_path):
    (tmp_path / "bioimage_cpp.py").write_text("raise ImportError('libomp.so.1: no such file')")
    told = run_broken("broken", "bioimage_cpp", tmp_path)
    sentence = "is installed but does not load (ImportError: libomp.so.1: no such file); run: pip"
    assert told.count(sentence) == 2


def test_this_installation_has_no_fault():
    assert core_faults() == []


def test_a_package_that_is_too_old_is_told(monkeypatch):
    real = requirements.version_of
    monkeypatch.setattr(
        requirements, "version_of", lambda name: "1.24.4" if name == "numpy" else real(name)
    )
    assert core_faults() == [
        "numpy 1.24.4 is installed, and samzoo needs 1.26 or newer; run: pip install 'numpy>=1.26'"
    ]


@pytest.mark.parametrize(
    ("module", "extra"), [("torch", "train"), ("zarr.storage", "large"), ("onnx", "export")]
)
def test_a_failed_import_names_the_extra(module, extra):
    fault = import_fault(ModuleNotFoundError(f"No module named {module!r}", name=module))
    assert fault is not None
    assert fault.endswith(f"is not installed; {install_advice(extra)}")


def test_an_import_that_no_extra_brings_is_not_explained():
    assert import_fault(ModuleNotFoundError("No module named 'x'", name="x")) is None
    assert import_fault(ImportError("cannot import name 'y' from 'torch'", name="torch")) is None
