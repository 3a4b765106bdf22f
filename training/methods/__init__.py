"""The finetuning methods, one module for each, and their table.

Start reading at ``table.py``. Importing this package needs no torch.
"""

from .method import Method
from .table import METHODS, get_method

__all__ = ["METHODS", "Method", "get_method"]
