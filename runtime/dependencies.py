"""Other packages, imported when they are needed: which command installs them, and onnxruntime.

In: the name of a package or of an extra. Out: the imported module, or an error with the command
that installs it. Every import of onnxruntime goes through here, because its telemetry has to be
switched off before it loads.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import shutil
import sys
from types import ModuleType
from typing import TypeGuard
from urllib.parse import unquote, urlsplit

from samzoo.runtime.errors import MissingDependencyError

ONNXRUNTIME_TELEMETRY = "ORT_DISABLE_TELEMETRY"
"""The environment variable that switches onnxruntime's telemetry off, if it is set before the
library loads. Source: onnxruntime 1.32, Privacy.md. Versions before 1.29 have no telemetry on
Linux and macOS, and do not read it."""

TORCH_FOR_CPU = "pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu"
"""Installs torch without CUDA, from PyTorch's own index. On Linux the builds of PyPI bring 5 GB of
CUDA libraries; on macOS and Windows they are for a CPU. A torch that is there stays, so this comes
first."""

TORCH_EXTRAS = ("bioimageio", "dev", "export", "qlora", "train")
"""The extras of samzoo that bring torch; a test compares them with ``pyproject.toml``."""

ARCHIVES = (".whl", ".zip", ".tar.gz")
"""What the address of a wheel or an archive ends with; a folder's does not."""


def require(name: str, *, extra: str) -> ModuleType:
    """Import an optional package, or say which command installs it.

    Args:
        name: The import name, for example ``"torch"``.
        extra: The extra of samzoo that installs it.

    Returns:
        The imported module.

    Raises:
        MissingDependencyError: The package is not installed, or does not load.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            f"this step needs the package {name!r}, which {_why(error, name)}; "
            f"{install_advice(extra)}"
        ) from error


def require_installed(name: str, *, extra: str) -> None:
    """Check that an optional package is there, without the seconds that importing it may take.

    Args:
        name: The import name.
        extra: The extra of samzoo that installs it.

    Raises:
        MissingDependencyError: The package is not installed.
    """
    if name not in sys.modules and importlib.util.find_spec(name) is not None:
        return
    require(name, extra=extra)


def import_onnxruntime(module: str = "onnxruntime") -> ModuleType:
    """Import onnxruntime with its telemetry switched off.

    Official builds send events to Microsoft, look up the server's name twice a second, and keep a
    device id and a queue of events below the user's cache folder. ``ORT_DISABLE_TELEMETRY=1`` is
    set just before the import, also for processes that this one starts. A value that the user has
    set stays. Once onnxruntime is loaded, as by another package, it no longer reads the variable.

    Args:
        module: ``onnxruntime`` or one of its modules.

    Returns:
        The imported module.

    Raises:
        MissingDependencyError: onnxruntime is not installed, or does not load.
    """
    ours = os.environ.setdefault(ONNXRUNTIME_TELEMETRY, "1") == "1"
    try:
        onnxruntime = importlib.import_module("onnxruntime")
        found = importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"samzoo needs the package 'onnxruntime', which {_why(error, 'onnxruntime')}; "
            "run: pip install --force-reinstall --no-deps onnxruntime"
        ) from error
    if ours:
        # Builds of Windows that trace events for the system read no variable, only this.
        onnxruntime.disable_telemetry_events()
    return found


def _why(error: ImportError, name: str) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == name.partition(".")[0]:
        return "is not installed"
    return f"is installed but does not load ({' '.join(str(error).split())})"


def install_advice(extra: str = "") -> str:
    """Say how to install samzoo, or an extra of it, from where it was installed here.

    Args:
        extra: The name of an extra; empty for samzoo alone.

    Returns:
        The end of a sentence: which command to run, and where.
    """
    command, url = install_command(extra), _recorded_url()
    if not _from_folder(url):
        return f"run: {command}"
    folder = unquote(urlsplit(url).path)
    folder = folder.lstrip("/") if sys.platform == "win32" else folder
    there = folder and os.path.isfile(os.path.join(folder, "pyproject.toml"))
    where = f" ({folder})" if there else ""
    return f"in your copy of samzoo's repository{where}, run: {command}"


def upgrade_advice() -> str:
    """Say how to get a newer samzoo, from where it was installed here."""
    if _from_folder(_recorded_url()):
        return "update your copy of samzoo's repository, then run in it: pip install ."
    return "run: pip install --upgrade samzoo"


def install_command(extra: str = "") -> str:
    """Return the command that installs samzoo, or an extra of it, from where it was installed here.

    A samzoo that came from a folder is installed from a folder again: it is not on PyPI. Before an
    extra with torch, on Linux without an NVIDIA GPU, comes the build of torch for a CPU.

    Args:
        extra: The name of an extra; empty for samzoo alone.
    """
    url = _recorded_url()
    wanted = f"[{extra}]" if extra else ""
    if _from_folder(url):
        source = f".{wanted}"
    else:
        source = f"samzoo{wanted} @ {url}" if url else f"samzoo{wanted}"
    command = f"pip install '{source}'" if {*source} & {*"[ "} else f"pip install {source}"
    if extra in TORCH_EXTRAS and sys.platform == "linux" and shutil.which("nvidia-smi") is None:
        return f"{TORCH_FOR_CPU} && {command}"
    return command


def _from_folder(url: str | None) -> TypeGuard[str]:
    return url is not None and urlsplit(url).scheme == "file" and not url.endswith(ARCHIVES)


def _recorded_url() -> str | None:
    """Return where pip took samzoo from: a folder's or archive's address; None for an index.

    A samzoo that is not installed at all runs from a folder, whose address has an empty path. In a
    clone the build leaves a second description of samzoo, which does not say where it came from.
    """
    import importlib.metadata  # takes 20 ms, and only messages need it

    found = list(importlib.metadata.distributions(name="samzoo"))
    if not found:
        return "file:"
    text = next(filter(None, (each.read_text("direct_url.json") for each in found)), None)
    if text is None:
        return None
    recorded = json.loads(text)
    url = str(recorded["url"])
    versions = recorded.get("vcs_info")
    return f"{versions['vcs']}+{url}@{versions['commit_id']}" if versions else url
