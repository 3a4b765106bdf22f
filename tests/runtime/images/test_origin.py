"""What samzoo wrote is known again, whatever wrote it and under any name."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from samzoo.runtime import write_labels, write_overlay
from samzoo.runtime.images.origin import is_ours
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.runtime.volumes.writing import write_stack

LABELS = np.eye(8, dtype=np.int32)


def test_labels_and_overlays_are_ours(tmp_path):
    write_labels(tmp_path / "a.tif", LABELS)
    write_labels(tmp_path / "b.png", LABELS)
    write_overlay(tmp_path / "c.png", LABELS.astype(np.uint8), LABELS)
    write_stack(
        tmp_path / "d.tif", np.stack([LABELS] * 3), SourceSpec(str(tmp_path / "a.tif")), force=False
    )
    assert [is_ours(tmp_path / name) for name in ("a.tif", "b.png", "c.png", "d.tif")] == [True] * 4
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), LABELS)


@pytest.mark.parametrize("damage", [b"", b"II*\0", b"\x89PNG\r\n\x1a\n", b"text"])
def test_other_and_damaged_files_are_not_ours(tmp_path, damage):
    (tmp_path / "x.tif").write_bytes(damage)
    assert not is_ours(tmp_path / "x.tif")
    assert not is_ours(tmp_path / "missing.tif")
    tifffile.imwrite(tmp_path / "y.tif", LABELS)
    Image.fromarray(LABELS.astype(np.uint8)).save(tmp_path / "y.png")
    assert not is_ours(tmp_path / "y.tif")
    assert not is_ours(tmp_path / "y.png")
