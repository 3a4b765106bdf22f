"""A SAM behind every container and prefix that training tools put around it."""

import json
import logging
from typing import Any

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import FormatError, InputError
from samzoo.zoo.checkpoints.conversion import convert
from samzoo.zoo.checkpoints.reading import read_checkpoint
from samzoo.zoo.checkpoints.state_dicts import MAX_DEPTH

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def state():
    """The state dict of segment-anything's own SAM, tiny."""
    return dict(tiny.make_original(tiny.make_sam(tiny.make_config(ais=False))).state_dict())


@pytest.fixture
def save(tmp_path):
    def write(content, name="sam.pth"):
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return write


def prefixed(prefix, state):
    return {f"{prefix}{name}": value for name, value in state.items()}


def other(state):
    """A second SAM of the same shapes."""
    return {name: value + 1 for name, value in state.items()}


PREFIXES = (
    "_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.module.", "model.", "net.", "sam.",
    "sam_model.", "model.sam.", "model.module._orig_mod.", "module.module.", "network.sam.model.",
    "any_name_at_all.", "lit.model_1.sam-b.",
)  # fmt: skip

CONTAINERS = {
    "bare": lambda state: state,
    "model_state_dict": lambda state: {"model_state_dict": state, "epoch": 3},
    "state": lambda state: {"state": state},
    "ema": lambda state: {"ema": state},
    "net": lambda state: {"net": state, "optimizer": {}, "epoch": 3},
    "Lightning": lambda state: {
        "epoch": 3, "global_step": 9, "pytorch-lightning_version": "2.5.0", "state_dict": state,
        "loops": {"fit_loop": {"state_dict": {}}}, "hyper_parameters": {"lr": 0.1},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": []}],
    },
    "optimizer": lambda state: {
        "model": state, "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}},
        "lr_scheduler": {"last_epoch": 3},
    },
    "nested": lambda state: {"checkpoint": {"network": {"weights": state}}},
    "in a list": lambda state: [state, {"step": 3}],
    "a twin": lambda state: {"model": state, "ema": state},
    "FSDP's optimizer": lambda state: {
        "model": state,
        "optim": {"state": {n: {"exp_avg": t} for n, t in other(state).items()}},
    },
}  # fmt: skip


def assert_same(found, state):
    assert set(found) == set(state)
    for name, value in state.items():
        np.testing.assert_array_equal(found[name], value.numpy(), err_msg=name)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_any_common_prefix_is_stripped(state, save, prefix):
    assert_same(read_checkpoint(save(prefixed(prefix, state))).weights, state)


@pytest.mark.parametrize("kind", CONTAINERS)
@pytest.mark.parametrize("prefix", ["", "model.", "module._orig_mod."])
def test_any_container_is_opened(state, save, kind, prefix):
    path = save(CONTAINERS[kind](prefixed(prefix, state)))
    assert_same(read_checkpoint(path).weights, state)


@pytest.mark.parametrize("name", ["a.bin", "a.ckpt", "a.pt", "a.safetensors", "a"])
def test_the_files_name_plays_no_part(state, save, name):
    assert_same(read_checkpoint(save(prefixed("module.", state), name)).weights, state)


@pytest.mark.parametrize("prefix", ["model.", "module._orig_mod.", "sam."])
def test_prefixes_in_a_safetensors_file_are_stripped(state, tmp_path, prefix):
    from safetensors.torch import save_file

    save_file(prefixed(prefix, state), tmp_path / "sam.safetensors")
    assert_same(read_checkpoint(tmp_path / "sam.safetensors").weights, state)


@pytest.mark.parametrize(
    "inserted",
    ["image_encoder._orig_mod.", "image_encoder.module.",
     "image_encoder._fsdp_wrapped_module._checkpoint_wrapped_module."],
)  # fmt: skip
def test_a_wrapped_encoder_is_unwrapped(state, save, inserted):
    """torch.compile(sam.image_encoder) and the like, on one network only."""
    renamed = {name.replace("image_encoder.", inserted, 1): t for name, t in state.items()}
    assert_same(read_checkpoint(save(renamed)).weights, state)


def test_the_averaged_model_of_torch_is_read_and_its_counter_left_out(state, save, caplog):
    averaged = {"n_averaged": torch.tensor(3), **prefixed("module.", state)}
    assert_same(read_checkpoint(save(averaged)).weights, state)
    (record,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert "left out 1 more values beside it, such as 'n_averaged'" in record.getMessage()


def test_micro_sams_decoder_is_found_inside_of_containers(state, save):
    decoder = {"out_conv.weight": torch.ones(3, 4, 1, 1)}
    content = {
        "trainer": {
            "model_state": prefixed("_orig_mod.sam.", state),
            "decoder_state": prefixed("_orig_mod.", decoder),
            "current_metric": 0.3,
        }
    }
    found = read_checkpoint(save(content)).weights
    assert set(found) == {*state, "ais_decoder.out_conv.weight"}


AMBIGUOUS = {
    "two keys": lambda a, b: {"model": a, "model_ema": b},
    "nested keys": lambda a, b: {"state": {"model": a, "model_ema": prefixed("module.", b)}},
    "two prefixes": lambda a, b: {
        "state_dict": {**prefixed("model.", a), **prefixed("model_ema.", b)}
    },
}


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_two_sams_are_refused_until_a_key_chooses_one(state, save, kind):
    second = other(state)
    path = save(AMBIGUOUS[kind](state, second))
    with pytest.raises(FormatError, match=r"sam\.pth: holds 2 SAMs, under .*--key"):
        read_checkpoint(path)
    before = {"two keys": "", "nested keys": "state.", "two prefixes": "state_dict."}[kind]
    assert_same(read_checkpoint(path, key=f"{before}model_ema").weights, second)
    assert_same(read_checkpoint(path, key=f"{before}model").weights, state)


def test_two_sams_in_a_safetensors_file_are_refused(state, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "sam.safetensors"
    save_file({**prefixed("student.", state), **prefixed("teacher.", other(state))}, path)
    with pytest.raises(FormatError, match="holds 2 SAMs, under 'student', 'teacher'"):
        read_checkpoint(path)
    assert_same(read_checkpoint(path, key="teacher").weights, other(state))


def test_a_key_that_is_not_there_lists_those_that_are(state, save):
    with pytest.raises(InputError, match="no tensors under the key 'emma'; it has some under 'mo"):
        read_checkpoint(save({"model": state}), key="emma")


def test_the_key_is_told_in_the_base(state, save, tmp_path):
    base = convert(save({"model": state, "ema": other(state)}), tmp_path / "base", key="ema")
    source = json.loads((base / "config.json").read_text())["source"]
    assert source["key"] == "ema"


def test_names_that_become_one_are_refused(state, save):
    double = {**state, "image_encoder._orig_mod.pos_embed": state["image_encoder.pos_embed"]}
    with pytest.raises(FormatError, match=r"two of its tensors are 'image_encoder\.pos_embed'"):
        read_checkpoint(save(double))


def test_endless_containers_are_refused(save):
    deep = {"a": torch.ones(1)}
    for _ in range(MAX_DEPTH + 2):
        deep = {"a": deep}
    with pytest.raises(FormatError, match=r"more than .* levels"):
        read_checkpoint(save(deep))
    wide = {"a": torch.ones(1)}  # a few bytes of pickle, since each level refers to one object
    for _ in range(MAX_DEPTH - 2):
        wide = {str(i): wide for i in range(8)}
    with pytest.raises(FormatError, match="more than 500000 values"):
        read_checkpoint(save(wide))


def test_tensors_beside_a_bare_sam_are_left_out_and_told(state, save, caplog):
    head = {"classifier.weight": torch.ones(2, 3), "epoch": 3}
    for prefix in ("", "model."):
        caplog.clear()
        assert_same(read_checkpoint(save(prefixed(prefix, {**state, **head}))).weights, state)
        assert "left out 2 more values beside it, such as " in caplog.text


def test_a_tensor_inside_of_sams_networks_is_not_left_out(state, save, tmp_path):
    path = save({**state, "image_encoder.prompt.weight": torch.ones(2)})
    with pytest.raises(FormatError, match=r"unknown 'image_encoder\.prompt\.weight'"):
        convert(path, tmp_path / "base")


@pytest.mark.parametrize("prefix", ["", "model."])
def test_each_network_in_a_dict_of_its_own_is_read(state, save, prefix):
    parts: dict[str, dict[str, Any]] = {}
    for name, value in state.items():
        part, _, rest = name.partition(".")
        parts.setdefault(f"{prefix}{part}", {})[rest] = value
    assert_same(read_checkpoint(save({**parts, "epoch": 3})).weights, state)


def test_tied_weights_under_two_names_are_read_once(state, save, caplog):
    twice = {**state, **prefixed("sam.", state)}
    encoder = {n: v for n, v in state.items() if n.startswith("image_encoder.")}
    names = {f"encoder.{n.removeprefix('image_encoder.')}": v for n, v in encoder.items()}
    for content in (twice, {**state, **names}):
        assert_same(read_checkpoint(save(content)).weights, state)
    assert "left out" not in caplog.text


def test_saved_pixel_statistics_are_no_unknown_tensors(state, save, tmp_path):
    plain = convert(save(state), tmp_path / "plain")
    sams = {"pixel_mean": torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)}
    found = convert(save(prefixed("sam.", {**state, **sams}), "b.pth"), tmp_path / "found")
    one, two = (json.loads((base / "config.json").read_text()) for base in (plain, found))
    assert one["weights_digest"] == two["weights_digest"]
    assert one["preprocessing"] == two["preprocessing"]


def test_a_safetensors_file_that_ends_in_zeros_is_refused(state, tmp_path):
    """Download tools reserve the whole file; safetensors has no checksum."""
    from safetensors.torch import save_file

    path = tmp_path / "sam.safetensors"
    save_file(state, path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    with pytest.raises(FormatError, match=r"of its .* tensors are nothing but zeros.*fetch it ag"):
        convert(path, tmp_path / "base")
    assert not (tmp_path / "base").exists()
