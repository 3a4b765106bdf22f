"""``samzoo export``: a base, model or adapter for the runtime and for other tools."""

from pathlib import Path

import numpy as np
import pytest

from samzoo.runtime.errors import NotFoundError
from samzoo.runtime.formats.folders import read_model_folder
from samzoo.zoo import write_checkpoint


def test_options_of_adapters_are_refused_for_models(run_here, toy_adapters):
    for option in (("--base", toy_adapters.base), ("--qlora-base", "original")):
        status, out, errors = run_here("export", toy_adapters.base, "-o", "p", *option)
        assert (status, out) == (2, "")
        assert f"{option[0]} is " in errors
        assert "is not one; omit it" in errors
    assert not Path("p").exists()


@pytest.mark.torch
@pytest.mark.onnx
def test_a_base_without_ais_decoder_is_written_for_other_tools(run_here, seeded_base):
    """The files are those of ``write_checkpoint``, and become the same base again."""
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    targets = ("--target", "segment-anything", "--target", "huggingface", "--name", "m")
    status, _, errors = run_here("export", seeded_base, "-o", "package", *targets)
    assert status == 0, errors
    write_checkpoint(seeded_base, Path("m.pth"), to="segment-anything")
    assert Path("package/segment-anything/m.pth").read_bytes() == Path("m.pth").read_bytes()
    write_checkpoint(seeded_base, Path("hf"), to="huggingface")
    files = sorted(path.name for path in Path("hf").iterdir())
    exported = sorted(path.name for path in Path("package/huggingface").iterdir())
    assert exported == ["README.md", *files]
    for name in files:
        written = Path("package/huggingface", name).read_bytes()
        assert written == Path("hf", name).read_bytes(), name
    assert run_here("convert", "package/segment-anything/m.pth", "-o", "back")[0] == 0
    expected, found = read_model_folder(seeded_base)[1], read_model_folder(Path("back"))[1]
    assert set(found) == set(expected)
    assert all(np.array_equal(found[name], value) for name, value in expected.items())


def test_a_model_is_exported_by_its_name(run_here, monkeypatch):
    import samzoo.zoo.packages.assembly
    from samzoo.zoo.hub.names import resolve

    given = []

    def export(source, *_, **__):
        given.append(source)
        raise NotFoundError("stop")

    monkeypatch.setattr(samzoo.zoo.packages.assembly, "export", export)
    assert run_here("export", "nuclei-vit-t", "-o", "p")[0] == 2
    assert given == [resolve("nuclei-vit-t")]
    assert run_here("export", "nuclei-vit-x", "-o", "p")[0] == 2
    assert given[1:] == [Path("nuclei-vit-x")]
