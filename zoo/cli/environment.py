"""The environment variables of samzoo; others with its prefix are refused, not ignored.

In: the environment. Out: nothing, or an error that names the variable.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from samzoo.runtime.errors import InputError

PREFIX = "SAMZOO_"

VARIABLES = ("SAMZOO_CACHE", "SAMZOO_INDEX")
"""As in ``samzoo.zoo.downloads`` and ``samzoo.zoo.hub``, which take long to import; a test
compares."""


def check_environment(environment: Mapping[str, str]) -> None:
    """Refuse a misspelled variable.

    Args:
        environment: ``os.environ``.

    Raises:
        InputError: A variable starts as samzoo's do, and is none of them.
    """
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in VARIABLES:
            endings = [known.removeprefix(PREFIX) for known in VARIABLES]
            close = get_close_matches(name.removeprefix(PREFIX), endings, n=1)
            hint = f"did you mean {PREFIX}{close[0]}?" if close else "unset it"
            raise InputError(
                f"environment variable {name}: samzoo has none of that name, only "
                f"{' and '.join(VARIABLES)}; {hint}"
            )
