"""Packages that others made: the command that installs them, and onnxruntime without telemetry."""

import ast
import importlib
import json
import os
import shutil
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from samzoo.runtime.dependencies import (
    ONNXRUNTIME_TELEMETRY,
    TORCH_EXTRAS,
    TORCH_FOR_CPU,
    import_onnxruntime,
    install_advice,
    install_command,
    require,
)
from samzoo.runtime.errors import MissingDependencyError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def installed(monkeypatch):
    """Pretends that pip noted an origin of samzoo, or that samzoo is not installed."""

    class Distribution:
        def __init__(self, note):
            self.note = note

        def read_text(self, name):
            assert name == "direct_url.json"
            return None if self.note is None else json.dumps(self.note)

    def pretend(*notes):
        def distributions(*, name):
            assert name == "samzoo"
            return map(Distribution, notes)

        monkeypatch.setattr(metadata, "distributions", distributions)

    return pretend


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(shutil, "which", lambda name: None)


def test_a_copy_of_the_repository_is_installed_from_its_folder(installed, no_gpu, tmp_path):
    (tmp_path / "pyproject.toml").touch()
    installed({"url": tmp_path.as_uri(), "dir_info": {"editable": True}})
    assert install_command("large") == "pip install '.[large]'"
    assert install_command() == "pip install ."
    assert install_advice("large") == (
        f"in your copy of samzoo's repository ({tmp_path}), run: pip install '.[large]'"
    )


def test_what_a_build_leaves_in_a_clone_does_not_hide_where_pip_took_it_from(installed, no_gpu):
    """``samzoo.egg-info`` in the working folder comes first on the path, and has no note."""
    installed(None, {"url": "file:///gone", "dir_info": {"editable": True}})
    assert install_command("large") == "pip install '.[large]'"


def test_a_folder_that_is_gone_is_not_named(installed, tmp_path):
    installed({"url": tmp_path.as_uri(), "dir_info": {}})
    assert install_advice() == "in your copy of samzoo's repository, run: pip install ."


def test_samzoo_on_the_path_only_is_installed_from_its_folder(installed):
    installed()
    assert install_advice("hub") == (
        "in your copy of samzoo's repository, run: pip install '.[hub]'"
    )


@pytest.mark.parametrize(
    ("note", "source"),
    [
        (None, "samzoo[hub]"),
        (
            {"url": "file:///tmp/samzoo-0.1.0-py3-none-any.whl", "archive_info": {}},
            "samzoo[hub] @ file:///tmp/samzoo-0.1.0-py3-none-any.whl",
        ),
        (
            {"url": "https://example.org/s.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "samzoo[hub] @ git+https://example.org/s.git@abc",
        ),
    ],
)
def test_an_index_an_archive_and_a_repository_are_used_again(installed, note, source):
    installed(note)
    assert install_advice("hub") == f"run: pip install '{source}'"


def test_torch_without_cuda_comes_first_on_linux_without_a_gpu(installed, no_gpu):
    installed(None)
    command = f"{TORCH_FOR_CPU} && pip install 'samzoo[train]'"
    assert install_command("train") == command


@pytest.mark.parametrize(
    ("system", "gpu"), [("darwin", None), ("win32", None), ("linux", "/usr/bin/nvidia-smi")]
)
def test_torch_comes_from_pypi_elsewhere(installed, monkeypatch, system, gpu):
    installed(None)
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(shutil, "which", lambda name: gpu)
    assert install_command("train") == "pip install 'samzoo[train]'"


def test_extras_with_torch_are_those_of_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    found = {name for name, packages in extras.items() if any("torch>" in p for p in packages)}
    while True:
        more = {
            name
            for name, packages in extras.items()
            for package in packages
            if package.startswith("samzoo[")
            and found & set(package.removeprefix("samzoo[").rstrip("]").split(","))
        }
        if more <= found:
            break
        found |= more
    assert set(TORCH_EXTRAS) == found


def test_a_missing_package_is_told_from_a_broken_one(installed, tmp_path, monkeypatch):
    installed(None)
    assert require("json", extra="train").dumps(1) == "1"
    (tmp_path / "broken_package.py").write_text("raise ImportError('libgone.so: not\\n found')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingDependencyError) as caught:
        require("broken_package", extra="hub")
    assert str(caught.value) == (
        "this step needs the package 'broken_package', which is installed but does not load "
        "(libgone.so: not found); run: pip install 'samzoo[hub]'"
    )
    with pytest.raises(MissingDependencyError, match=r"module', which is not installed"):
        require("no_such_package.module", extra="hub")


def test_a_broken_onnxruntime_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('DLL load failed')\n")
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    try:
        with pytest.raises(MissingDependencyError, match=r"does not load \(DLL load failed\); run"):
            import_onnxruntime()
    finally:
        sys.modules.pop("onnxruntime", None)


@pytest.mark.parametrize(("given", "becomes"), [(None, "1"), ("0", "0"), ("", ""), ("1", "1")])
def test_telemetry_is_off_unless_the_user_says_otherwise(monkeypatch, given, becomes):
    monkeypatch.setenv(ONNXRUNTIME_TELEMETRY, "to be undone")
    monkeypatch.delenv(ONNXRUNTIME_TELEMETRY)
    if given is not None:
        monkeypatch.setenv(ONNXRUNTIME_TELEMETRY, given)
    assert import_onnxruntime("onnxruntime.capi").__name__ == "onnxruntime.capi"
    assert os.environ[ONNXRUNTIME_TELEMETRY] == becomes


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
            yield from (a.value for a in node.args if isinstance(a, ast.Constant))


def test_no_other_module_imports_onnxruntime(repository):
    """Its telemetry starts with the first import, wherever that is."""
    found = {
        path.relative_to(repository).as_posix()
        for folder in ("runtime", "training", "zoo", "examples", "benchmarks")
        for path in (repository / folder).rglob("*.py")
        if any(name.partition(".")[0] == "onnxruntime" for name in imported(path))
    }
    assert found == {"runtime/dependencies.py"}
