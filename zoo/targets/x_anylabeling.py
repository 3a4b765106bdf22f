"""X-AnyLabeling's custom model, in the same form as AnyLabeling's.

Source: X-AnyLabeling 4.2.1, ``services/auto_labeling/segment_anything.py``.
"""

from __future__ import annotations

from samzoo.zoo.checkpoints.tools.differences import ToolPath
from samzoo.zoo.packages.target import Target

from . import anylabeling
from .tool_export import refusal

TARGET = Target(
    name="x-anylabeling",
    tools=("X-AnyLabeling 4.2",),
    refusal=refusal,
    write=anylabeling.write,
    path=ToolPath(name="x-anylabeling", graphs=True, canvas=anylabeling.CANVAS_SIZE),
)
