"""The packages that samzoo needs: which are missing, too old or broken.

In: nothing, or the error of an import. Out: a sentence for each fault, with the command that helps.
It imports nothing that may be missing, so that it also works in a broken installation.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys

from samzoo.runtime.dependencies import import_onnxruntime, install_advice

CORE = "core"
NUMPY = "numpy"

GROUPS: dict[str, dict[str, str]] = {
    CORE: {
        "bioimage-cpp": "bioimage_cpp",
        "filelock": "filelock",
        "markdown-it-py": "markdown_it",
        "numpy": "numpy",
        "onnxruntime": "onnxruntime",
        "pillow": "PIL",
        "safetensors": "safetensors",
        "tifffile": "tifffile",
        "tqdm": "tqdm",
    },
    "train": {
        "lightning-fabric": "lightning_fabric",
        "segment-anything": "segment_anything",
        "torch": "torch",
        "torchvision": "torchvision",
    },
    "export": {
        "onnx": "onnx",
        "segment-anything": "segment_anything",
        "torch": "torch",
        "torchvision": "torchvision",
    },
    "bioimageio": {"bioimageio.core": "bioimageio", "pydantic": "pydantic"},
}
"""The packages of each group, with import names; a test compares them with ``pyproject.toml``."""

OTHERS = {"bitsandbytes": "qlora", "distributed": "large", "huggingface_hub": "hub",
          "imagecodecs": "large", "skimage": "evaluate",
          "starlette": "annotate", "uvicorn": "annotate", "zarr": "large"}  # fmt: skip
"""Import names of packages that the doctor does not list, and the extras that bring them."""


def version_of(package: str) -> str | None:
    """Return the version of an installed package, None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def is_there(module: str) -> bool:
    """Tell whether a module can be found, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def core_faults() -> list[str]:
    """Check the packages without which nothing works.

    Returns:
        A sentence for each that is missing, older than samzoo needs, or does not load.
    """
    floors = _floors()
    missing = [name for name, module in GROUPS[CORE].items() if not is_there(module)]
    faults = []
    if missing:
        one = len(missing) == 1
        faults.append(
            f"{', '.join(missing)} {'is' if one else 'are'} not installed, and samzoo needs "
            f"{'it' if one else 'them'}; {install_advice()}"
        )
    for name, module in sorted(GROUPS[CORE].items(), key=lambda item: item[0] != NUMPY):
        if name in missing:
            continue
        if NUMPY in missing or (faults and faults[-1].startswith(NUMPY)):
            break  # compiled packages print tracebacks when they load without it
        version, floor = version_of(name), floors.get(name)
        if version is not None and floor is not None and _numbers(version) < _numbers(floor):
            faults.append(
                f"{name} {version} is installed, and samzoo needs {floor} or newer; "
                f"run: pip install '{name}>={floor}'"
            )
        elif problem := _load(module):
            faults.append(
                f"{name} {version or ''} is installed but does not load ({problem}); "
                f"run: pip install --force-reinstall --no-deps {name}"
            )
    return faults


def import_fault(error: ImportError) -> str | None:
    """Say which extra brings a package whose import failed; None if no extra does."""
    if error.name is None or not isinstance(error, ModuleNotFoundError):
        return None
    module = error.name.partition(".")[0]
    extras = [
        group for group, names in GROUPS.items() if group != CORE and module in names.values()
    ]
    extra = extras[0] if extras else OTHERS.get(module)
    if extra is None:
        return None
    return (
        f"this step needs the package {module!r}, which is not installed; {install_advice(extra)}"
    )


def _load(module: str) -> str:
    """Import a module; returns what went wrong, or nothing."""
    try:
        if module == "onnxruntime":
            import_onnxruntime()
        else:
            importlib.import_module(module)
    except Exception as error:  # a broken package may raise anything
        reason = error.__cause__ if module == "onnxruntime" and error.__cause__ else error
        return " ".join(f"{type(reason).__name__}: {reason}".split())[:200]
    return ""


def _floors() -> dict[str, str]:
    """Return the least version of each package, as ``pyproject.toml`` states it."""
    try:
        requirements = importlib.metadata.requires("samzoo") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    found = (re.match(r"([\w.-]+)>=([\d.]+)$", each) for each in requirements)
    return {match[1]: match[2] for match in found if match}


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version; packages here need no finer order."""
    match = re.match(r"[\d.]*\d", version)
    return tuple(int(part) for part in match[0].split(".")) if match else (sys.maxsize,)
