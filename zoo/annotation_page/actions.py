"""What a request of the page may ask for: a table of actions, each with its fields, checked.

In: the name of an action and a JSON object from a stranger. Out: what is done in the session, and
its state. No path, and no address, is ever taken from a request.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from samzoo.runtime.errors import InputError, did_you_mean, shown
from samzoo.zoo.annotation.edits import changed_window
from samzoo.zoo.annotation.session import AnnotationSession
from samzoo.zoo.annotation.sight import MOST_POINTS, THRESHOLDS

from .pictures import candidate_json
from .preparation import Preparation

MOST_IDS = 1000
"""Objects that one request names (own choice)."""

MOST_CORNERS = 2000
"""Corners of a line (own choice: a hand draws some hundred)."""

Fields = Mapping[str, Any]


class Desk:
    """A session with the work that goes on for it.

    Args:
        session: The session.
    """

    def __init__(self, session: AnnotationSession) -> None:
        self.session, self.preparation = session, Preparation(session)

    def state(self) -> dict[str, Any]:
        """Return all that the page shows besides pixels, as JSON."""
        session, document, sight = self.session, self.session.document, self.session.sight
        state: dict[str, Any] = {
            "images": session.collection.shown, "number": session.number,
            "size": list(document.size), "model": session.model_name,
            "labels": str(document.place.labels), "notes": session.notes,
            "can_undo": document.can_undo, "can_redo": document.can_redo,
            "diameter": session.diameter, "ready": sight is not None,
            "progress": self.preparation.progress, "error": self.preparation.error,
            "candidate": candidate_json(session.candidate),
            "proposal": session.proposal is not None,
        }  # fmt: skip
        if sight is not None:
            own = {name: getattr(sight.thresholds, name) for name in THRESHOLDS}
            state.update(scale=sight.scale.line(), has_ais=sight.has_ais, thresholds=own)
        return state

    def act(self, name: str, fields: object) -> dict[str, Any]:
        """Do what a request asks for.

        Args:
            name: A key of ``ACTIONS``.
            fields: The body's JSON.

        Returns:
            The state afterwards; ``changed`` is the window of the labels that differ, or None, and
            ``opened`` is true if another image is open.

        Raises:
            InputError: There is no such action, or a field is missing, unknown or wrong.
            SamzooError: As for the session's methods.
        """
        allowed, run = ACTIONS[name]
        if not isinstance(fields, dict):
            raise InputError(f"{name}: expected a JSON object, found {shown(fields)}")
        for key in fields:
            if key not in allowed:
                raise InputError(f"{name}: unknown field {shown(key)}{did_you_mean(key, allowed)}")
        before, number = self.session.labels, self.session.number
        run(self, fields)
        after = self.session.labels
        same = number == self.session.number and before.shape == after.shape
        window = changed_window(before, after) if same and before is not after else None
        return {**self.state(), "changed": window, "opened": not same or name == "open"}


def _prompt(desk: Desk, fields: Fields) -> None:
    points, box = _points(fields, "points", MOST_POINTS), fields.get("box")
    mask = None
    if "object" in fields:
        mask = desk.session.object_mask(_number(fields, "object"))
    if box is not None:
        box = _numbers(box, 4, "box")
    labels = fields.get("point_labels", [])
    if not isinstance(labels, list) or len(labels) != len(points):
        raise InputError(f"point_labels: expected one for each of {len(points)} points")
    if any(isinstance(each, bool) or each not in (0, 1) for each in labels):
        raise InputError("point_labels: allowed are 1 (object) and 0 (background)")
    desk.session.prompt(points=points, point_labels=labels, box=box, mask=mask)


def _automatic(desk: Desk, fields: Fields) -> None:
    given = fields.get("thresholds", {})
    if not isinstance(given, dict):
        raise InputError(f"thresholds: expected an object, found {shown(given)}")
    desk.session.automatic(given)


def _prepare(desk: Desk, fields: Fields) -> None:
    diameter = fields.get("diameter", "")
    if isinstance(diameter, str):
        if diameter not in ("", "own", "auto"):
            raise InputError(f"diameter: found {shown(diameter)}, allowed: a number, own, auto")
    elif diameter is not None:
        diameter = _numbers([diameter], 1, "diameter")[0]
    desk.preparation.start(diameter)


def _accept(desk: Desk, fields: Fields) -> None:
    label = _number(fields, "label") if fields.get("label") is not None else None
    desk.session.accept(label=label, over=_flag(fields, "over"))


def _split(desk: Desk, fields: Fields) -> None:
    line = _points(fields, "line", MOST_CORNERS)
    desk.session.split(_number(fields, "label"), line)


def _open(desk: Desk, fields: Fields) -> None:
    number = _number(fields, "number")
    desk.preparation.end()
    desk.session.open(number)


ACTIONS: dict[str, tuple[tuple[str, ...], Callable[[Desk, Fields], object]]] = {
    "prepare": (("diameter",), _prepare),
    "cancel": ((), lambda desk, _: desk.preparation.stop()),
    "prompt": (("points", "point_labels", "box", "object"), _prompt),
    "automatic": (("thresholds",), _automatic),
    "accept": (("label", "over"), _accept),
    "accept_automatic": (
        ("keep",), lambda desk, fields: desk.session.accept_automatic(keep=_flag(fields, "keep"))
    ),
    "discard": ((), lambda desk, _: desk.session.discard()),
    "delete": (("ids",), lambda desk, fields: desk.session.delete(_ids(fields))),
    "merge": (("ids",), lambda desk, fields: desk.session.merge(_ids(fields))),
    "split": (("label", "line"), _split),
    "undo": ((), lambda desk, _: desk.session.undo()),
    "redo": ((), lambda desk, _: desk.session.redo()),
    "open": (("number",), _open),
}  # fmt: skip
"""By name: the fields that a request may have, and what is done."""


def _number(fields: Fields, name: str) -> int:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise InputError(f"{name}: expected a whole number of 0 or more, found {shown(value)}")
    return value


def _flag(fields: Fields, name: str) -> bool:
    value = fields.get(name, False)
    if not isinstance(value, bool):
        raise InputError(f"{name}: expected true or false, found {shown(value)}")
    return value


def _ids(fields: Fields) -> list[int]:
    given = fields.get("ids")
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_IDS:
        raise InputError(f"ids: expected a list of 1 to {MOST_IDS} numbers, found {shown(given)}")
    return [_number({"ids": each}, "ids") for each in given]


def _points(fields: Fields, name: str, most: int) -> list[tuple[float, float]]:
    given = fields.get(name, [])
    if not isinstance(given, list) or len(given) > most:
        raise InputError(f"{name}: expected a list of at most {most} points, found {shown(given)}")
    points = [_numbers(each, 2, name) for each in given]
    return [(x, y) for x, y in points]


def _numbers(given: object, count: int, name: str) -> list[float]:
    if not isinstance(given, list) or len(given) != count:
        raise InputError(f"{name}: expected {count} numbers, found {shown(given)}")
    for each in given:
        number = isinstance(each, int | float) and not isinstance(each, bool)
        if not number or not math.isfinite(each) or abs(each) > 2**24:
            raise InputError(f"{name}: expected {count} numbers, found {shown(given)}")
    return [float(each) for each in given]
