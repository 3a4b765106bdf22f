"""The runtime of SAM packages on a CPU, without torch: embed an image, prompt it, segment it.

Names are imported when they are first used, so that ``samzoo --help`` loads no NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .automatic.amg import AmgParameters
    from .automatic.apg import ApgParameters
    from .automatic.candidates import Candidate
    from .engine.embeddings import ImageEmbeddings
    from .engine.providers import available_providers
    from .errors import (
        InputError,
        MissingDependencyError,
        NotFoundError,
        SamzooError,
        StorageError,
    )
    from .evaluation.set_scoring import evaluate
    from .formats.config import AisParameters, ModelConfig, Preprocessing
    from .formats.manifest import Manifest
    from .images.overlay import draw_overlay, write_overlay
    from .images.reading import read_image, write_labels
    from .labels.files import read_labels
    from .large.embedding_store import EmbeddingStore
    from .large.file_segmentation import segment_file
    from .loading import load
    from .model import Model
    from .pieces.request import SegmentedFile
    from .volumes.following import Following, follow_object
    from .volumes.slices import merge_slices

__all__ = [
    "AisParameters",
    "AmgParameters",
    "ApgParameters",
    "Candidate",
    "EmbeddingStore",
    "Following",
    "ImageEmbeddings",
    "InputError",
    "Manifest",
    "MissingDependencyError",
    "Model",
    "ModelConfig",
    "NotFoundError",
    "Preprocessing",
    "SamzooError",
    "SegmentedFile",
    "StorageError",
    "available_providers",
    "draw_overlay",
    "evaluate",
    "follow_object",
    "load",
    "merge_slices",
    "read_image",
    "read_labels",
    "segment_file",
    "write_labels",
    "write_overlay",
]

_MODULES = {
    "AisParameters": "formats.config",
    "AmgParameters": "automatic.amg",
    "ApgParameters": "automatic.apg",
    "Candidate": "automatic.candidates",
    "EmbeddingStore": "large.embedding_store",
    "Following": "volumes.following",
    "ImageEmbeddings": "engine.embeddings",
    "InputError": "errors",
    "Manifest": "formats.manifest",
    "MissingDependencyError": "errors",
    "Model": "model",
    "ModelConfig": "formats.config",
    "NotFoundError": "errors",
    "Preprocessing": "formats.config",
    "SamzooError": "errors",
    "SegmentedFile": "pieces.request",
    "StorageError": "errors",
    "available_providers": "engine.providers",
    "draw_overlay": "images.overlay",
    "evaluate": "evaluation.set_scoring",
    "follow_object": "volumes.following",
    "load": "loading",
    "merge_slices": "volumes.slices",
    "read_image": "images.reading",
    "read_labels": "labels.files",
    "segment_file": "large.file_segmentation",
    "write_labels": "images.reading",
    "write_overlay": "images.overlay",
}
"""The module of each public name."""


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
