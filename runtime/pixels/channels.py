"""The channel that a user asks for, by number, by the file's name for it, or by colour.

In: ``--channel`` and the names of a file's channels. Out: the channel's number, or an error that
lists what there is.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from samzoo.runtime.errors import InputError

COLOURS = ("red", "green", "blue")
"""Names of the channels of every RGB picture."""


def channel_number(asked: int | str, names: Sequence[str], where: str) -> int:
    """Find a channel.

    Args:
        asked: Its number from 0, also as text, or its name. Upper and lower case are alike. A
            number is a name only if the file has no channel of that number.
        names: The file's names, one a channel; empty for a channel without a name.
        where: The file, for messages.

    Returns:
        The number of the channel, from 0.

    Raises:
        InputError: There is no such channel, or two have the name.
    """
    text = str(asked).strip()
    try:
        number = int(text)
    except ValueError:
        number = -1
    if 0 <= number < len(names):
        return number
    found = [i for i, name in enumerate(names) if name and name.casefold() == text.casefold()]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            f"{where}: --channel: {asked!r} names the channels {', '.join(map(str, found))}; give "
            "the number"
        )
    if len(names) == 1:
        named = f", {names[0]!r}" if names[0] else ""
        raise InputError(
            f"{where}: --channel: found {asked}, the image is grey and has one channel{named}; "
            "omit --channel"
        )
    raise InputError(
        f"{where}: --channel: found {asked}, the file has {len(names)}: {listed(names)}"
        f"{_nearest(text, names)}"
    )


def listed(names: Sequence[str]) -> str:
    """Return the channels for a message: numbers, and names where there are any."""
    if not any(names):
        return f"0 to {len(names) - 1}"
    return ", ".join(f"{i} {name}".rstrip() for i, name in enumerate(names))


def _nearest(text: str, names: Sequence[str]) -> str:
    by_fold = {name.casefold(): name for name in names if name}
    asked = text.casefold()
    close = difflib.get_close_matches(asked, by_fold, n=1, cutoff=0.6)
    close = close or [fold for fold in by_fold if asked and (asked in fold or fold in asked)]
    return f"; did you mean {by_fold[close[0]]!r}?" if close else ""
