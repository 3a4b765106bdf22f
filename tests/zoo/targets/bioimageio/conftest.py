"""A tiny model's BioImage.IO zips, exported once, and bioimageio.core without network."""

import pytest
from bioimageio_zips import export_zips, make_sam


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("BIOIMAGEIO_CACHE_PATH", str(tmp_path / "cache"))

    def refuse(*_, **__):
        raise OSError("no network in tests")

    monkeypatch.setattr("socket.socket.connect", refuse)


@pytest.fixture(scope="package")
def package(tmp_path_factory):
    """Model pixels differ from image pixels, and percentiles stretch the intensities."""
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    pytest.importorskip("bioimageio.core")
    sam = make_sam(scale=1.5, intensity="percentile", percentiles=(0.5, 99.5), gamma=0.7)
    return export_zips(tmp_path_factory.mktemp("stretched"), sam)


@pytest.fixture(scope="package")
def zips(package):
    """Paths of the zips by purpose."""
    return {
        path.stem.removeprefix("tiny-cells-"): path
        for path in sorted((package / "bioimageio").glob("*.zip"))
    }
