"""The state by which a changed file is noticed."""

import os

import pytest

from samzoo.runtime.errors import NotFoundError
from samzoo.runtime.pixels.source_spec import identity


def test_identity_changes_with_size_and_time(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"1")
    os.utime(path, ns=(1, 1))
    first = identity(path)
    assert identity(path) == first
    os.utime(path, ns=(2, 2))
    later = identity(path)
    path.write_bytes(b"12")
    os.utime(path, ns=(2, 2))
    assert len({first, later, identity(path)}) == 3
    with pytest.raises(NotFoundError, match="no such file"):
        identity(tmp_path / "none.tif")
