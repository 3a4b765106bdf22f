"""Arrays that were computed lately: kept up to a number of bytes."""

import numpy as np

from samzoo.training.data.recent import RecentArrays


def asked(recent, owner, name="x", size=100):
    """Whether an array had to be computed."""
    computed = []

    def compute():
        computed.append(name)
        return np.full(size, owner, np.uint8)

    assert (recent.get(owner, name, compute) == owner).all()
    return bool(computed)


def test_the_owners_asked_for_last_are_kept_up_to_the_memory():
    recent = RecentArrays(300)
    assert [asked(recent, owner) for owner in (0, 1, 2, 0)] == [True, True, True, False]
    assert asked(recent, 3)  # 1 has to go: it was not asked for since 0 was
    assert [asked(recent, owner) for owner in (0, 2, 3)] == [False, False, False]
    assert asked(recent, 1)


def test_all_arrays_of_the_present_owner_stay_however_large():
    recent = RecentArrays(50)
    assert [asked(recent, 0, name) for name in "abab"] == [True, True, False, False]
    assert asked(recent, 1)
    assert asked(recent, 0, "a")


def test_an_array_may_be_computed_from_another():
    recent = RecentArrays(0)
    total = recent.get(0, "sum", lambda: 2 * recent.get(0, "part", lambda: np.ones(1)))
    assert total == 2
