"""One narrow SAM at 1024 pixels, exported once for tools of every kind."""

from types import SimpleNamespace

import pytest
import tiny

TARGETS = ("segment-anything", "huggingface", "anylabeling", "osam", "cvat", "transformers-js")


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """The network, the folder of its package, and the manifest; it stretches intensities."""
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from samzoo.zoo import export
    from samzoo.zoo.targets import choose_targets

    folder = tmp_path_factory.mktemp("exported")
    sam = tiny.make_sam(tiny.make_config("vit_1024", intensity="min_max"))
    base = tiny.write_base(folder / "base", sam)
    manifest = export(
        base, folder / "package", targets=choose_targets(TARGETS), name="cells", precision="fp16"
    )
    return SimpleNamespace(sam=sam, folder=folder / "package", manifest=manifest)
