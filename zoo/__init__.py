"""Merging, exporting, listing and opening models. Needs no torch but for converting and exporting."""

from __future__ import annotations

from .convert import convert
from .export import export
from .index import DEFAULT_MODEL, load, resolve, shipped
from .merge import merge

__all__ = ["DEFAULT_MODEL", "convert", "export", "load", "merge", "resolve", "shipped"]
