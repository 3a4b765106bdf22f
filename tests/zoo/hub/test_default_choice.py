"""The file with the user's default model."""

import sys
from pathlib import Path

import pytest

from samzoo.runtime.errors import FormatError, StorageError
from samzoo.zoo.hub import default_choice as module
from samzoo.zoo.hub.default_choice import (
    DEFAULT_MODEL,
    MAX_BYTES,
    choose_model,
    chosen_model,
    default_model,
    settings_file,
)


@pytest.fixture(autouse=True)
def settings(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


def test_without_a_choice_the_shipped_model_runs_and_nothing_is_written(settings):
    assert (chosen_model(), default_model()) == (None, DEFAULT_MODEL)
    assert not settings.exists()


def test_a_choice_stays_until_the_shipped_model_is_chosen(settings):
    choose_model("hf:lab/cells@v1.0.0")
    assert (chosen_model(), default_model()) == ("hf:lab/cells@v1.0.0", "hf:lab/cells@v1.0.0")
    assert (settings / "samzoo/default-model").read_text() == "hf:lab/cells@v1.0.0\n"
    choose_model(DEFAULT_MODEL)
    assert chosen_model() is None
    choose_model(DEFAULT_MODEL)  # nothing to delete


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"a\nb", b"\x1b[31m", b"\xff", b"a" * (MAX_BYTES + 1)]
)
def test_a_damaged_file_is_named(settings, data):
    path = settings / "samzoo/default-model"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    if data == b"\xff":  # is replaced, and no model has that name
        assert chosen_model() == "�"
        return
    with pytest.raises(FormatError, match=r"expected one line with a model.*samzoo use MODEL"):
        chosen_model()


def test_a_folder_in_its_place_is_named(settings):
    (settings / "samzoo/default-model").mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot be read"):
        chosen_model()


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("linux", "home/.config/samzoo/default-model"),
        ("darwin", "home/Library/Application Support/samzoo/default-model"),
        ("win32", "roaming/samzoo/default-model"),
    ],
)
def test_it_lies_where_the_system_keeps_settings(monkeypatch, tmp_path, platform, expected):
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("APPDATA", str(tmp_path / "roaming"))
    monkeypatch.setattr(module, "_home", lambda: tmp_path / "home")
    assert settings_file() == tmp_path / expected


def test_without_a_home_folder_nobody_has_chosen_and_nobody_can(monkeypatch):
    def home():
        raise RuntimeError

    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(Path, "home", home)
    assert default_model() == DEFAULT_MODEL
    with pytest.raises(StorageError, match="set XDG_CONFIG_HOME"):
        choose_model("a")
