"""What every target of ``samzoo export --target`` has in common."""

import dataclasses

import pytest
import tiny

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.manifest import Manifest
from samzoo.zoo import export
from samzoo.zoo.targets import ALL, MODULES, choose_targets, get_target

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytestmark = [pytest.mark.torch, pytest.mark.onnx]


@pytest.mark.parametrize("name", MODULES)
def test_a_target_has_the_name_it_is_listed_by(name):
    assert get_target(name).name == name
    assert get_target(name).tools


def test_an_unknown_target_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="segment-anything"):
        get_target("sam3")


def test_all_targets_are_written_into_folders_of_the_package(tmp_path):
    sam = tiny.make_sam(tiny.make_config("vit"))
    base = tiny.write_base(tmp_path / "base", sam)
    export(base, tmp_path / "package", targets=choose_targets([ALL]))
    every = choose_targets([ALL])
    assert [target.name for target in every] == list(MODULES)
    assert all(target.optional for target in every)
    chosen = [target for target in every if not target.refusal(sam.config)]
    refused = [target.name for target in every if target.refusal(sam.config)]
    assert chosen
    assert refused
    listed = {entry.path for entry in Manifest.read(tmp_path / "package").files}
    for target in chosen:
        assert any(path.startswith(f"{target.name}/") for path in listed)
    for name in refused:
        assert not (tmp_path / "package" / name).exists()


def test_a_target_that_is_named_beside_all_is_not_optional():
    assert [t.name for t in choose_targets([ALL, "osam"]) if not t.optional] == ["osam"]


def test_segment_anything_s_file_is_a_bare_state_dict(tmp_path):
    sam = tiny.make_sam(tiny.make_config("vit"))
    base = tiny.write_base(tmp_path / "base", sam)
    export(base, tmp_path / "package", targets=choose_targets(["segment-anything"]), name="cells")
    folder = tmp_path / "package" / "segment-anything"
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "cells.pth"]
    path = folder / "cells.pth"
    state = torch.load(path, weights_only=True)
    expected = {k: v for k, v in sam.state_dict().items() if not k.startswith("ais_decoder.")}
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], expected[key]) for key in state)


def test_what_the_files_of_a_target_cannot_say_is_told(tmp_path, caplog):
    config = tiny.make_config("vit")
    preprocessing = dataclasses.replace(config.preprocessing, gamma=0.7)
    sam = tiny.make_sam(dataclasses.replace(config, preprocessing=preprocessing))
    base = tiny.write_base(tmp_path / "base", sam)
    targets = choose_targets(["segment-anything", "huggingface"])
    export(base, tmp_path / "package", targets=targets, name="cells")
    told = [record.getMessage() for record in caplog.records if "gamma 0.7" in record.getMessage()]
    assert [message.split(": files")[0] for message in told] == [
        "cells: segment-anything",
        "cells: huggingface",
    ]
