"""All ways through the verbs."""

from .image_ways import IMAGE_WAYS
from .making_ways import MAKING_WAYS
from .model_ways import MODEL_WAYS

WAYS = [*IMAGE_WAYS, *MODEL_WAYS, *MAKING_WAYS]
