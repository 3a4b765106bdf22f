"""Pictures and data sets in a manifest: written where there are some, read with checks."""

import dataclasses
import json

import pytest

from samzoo.runtime.errors import FormatError
from samzoo.runtime.formats.digest import json_digest
from samzoo.runtime.formats.manifest import CardPicture, DataSet, Manifest


@pytest.fixture
def full(toy_config):
    return Manifest(
        name="toy", model=toy_config(), files=(), datasets=(DataSet(name="discs"),),
        pictures=(CardPicture(path="pictures/a.png", shows="use", caption="a", attribution="b"),),
    )  # fmt: skip


def test_they_are_read_again_and_older_manifests_stay_as_they_were(full, tmp_path):
    full.write(tmp_path)
    assert Manifest.read(tmp_path) == full
    bare = dataclasses.replace(full, pictures=(), datasets=()).to_json()
    assert not {"pictures", "datasets"} & set(bare)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"path": "../a.png"}, "unsafe path"),
        ({"shows": "yes"}, "allowed: 'use', 'not'"),
    ],
)
def test_what_strangers_write_is_checked(full, tmp_path, changed, message):
    content = full.to_json()
    content.pop("digest")
    content["pictures"][0].update(changed)
    (tmp_path / "samzoo.json").write_text(json.dumps({**content, "digest": json_digest(content)}))
    with pytest.raises(FormatError, match=message):
        Manifest.read(tmp_path)


def test_a_data_set_has_a_name():
    with pytest.raises(FormatError, match="name: found an empty text"):
        DataSet(name=" ")
