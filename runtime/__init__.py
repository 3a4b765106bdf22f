"""Running SAM packages on a CPU: embed an image, prompt it, segment it. Needs no torch."""

from __future__ import annotations

from .config import AisParameters, ModelConfig, Preprocessing
from .embeddings import ImageEmbeddings
from .errors import SamzooError
from .evaluation import evaluate
from .images import read_image, read_labels, write_labels
from .manifest import Manifest
from .model import Model
from .overlay import draw_overlay, write_overlay
from .package import load

__all__ = [
    "AisParameters",
    "ImageEmbeddings",
    "Manifest",
    "Model",
    "ModelConfig",
    "Preprocessing",
    "SamzooError",
    "draw_overlay",
    "evaluate",
    "load",
    "read_image",
    "read_labels",
    "write_labels",
    "write_overlay",
]
