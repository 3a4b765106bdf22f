"""The finetuning methods: one module each, and their table.

``table.py`` is where to start. Importing this package needs no torch.
"""

from .method import Method
from .table import METHODS, get_method

__all__ = ["METHODS", "Method", "get_method"]
