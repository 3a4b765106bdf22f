"""The tasks that a model is scored in, by the names that reports, cards and tables use."""

from __future__ import annotations

TASKS = ("ais", "point", "box", "ip", "ib")
"""Automatic; one point; one box; and the latter two with corrections. Tables keep this order."""

CORRECTED_TASKS = ("ip", "ib")
"""Those of them with corrections at random points, which alone need a seed."""

CONTROL_TASK = "box_fill"
"""The box itself taken as the mask: what a model must beat to have understood anything."""

CONTROLS = {
    "otsu": "ais",
    "otsu_watershed": "ais",
    "li_watershed": "ais",
    "local_watershed": "ais",
    CONTROL_TASK: "box",
}
"""The controls, which stand beside tasks in reports and tables, and the task that each is for."""
