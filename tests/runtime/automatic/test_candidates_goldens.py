"""The modes amg and apg after the networks, against micro-sam; see ``goldens/README.md``."""

import json

import numpy as np
import pytest

from samzoo.runtime.automatic.amg import AmgParameters, segment_by_grid
from samzoo.runtime.automatic.apg import ApgParameters, merge_by_score, seed_points
from samzoo.runtime.automatic.candidates import measure
from samzoo.runtime.engine.embeddings import ImageEmbeddings
from samzoo.runtime.engine.networks import Networks
from samzoo.runtime.formats.architecture import Architecture
from samzoo.runtime.formats.config import ModelConfig, Preprocessing
from samzoo.runtime.formats.families.vit import VitConfig
from samzoo.runtime.images.tiles import whole
from samzoo.runtime.prompts.enlargement import Enlargement


@pytest.fixture(scope="module")
def amg(golden):
    return golden("amg")


@pytest.fixture(scope="module")
def apg(golden):
    return golden("apg")


class StoredNetworks(Networks):
    """A mask decoder that knows the logits of each point of the grid, in order."""

    def __init__(self, logits, iou):
        self.logits, self.iou, self.done = logits, iou, 0

    def encode(self, image):
        raise NotImplementedError

    def decode_ais(self, image_embeddings):
        raise NotImplementedError

    def decode_prompts(self, *arguments, **options):
        assert options == {"multimask_output": True}
        coords = arguments[1]
        batch = slice(self.done, self.done + len(coords))
        self.done += len(coords)
        return self.iou[batch], self.logits[batch]


@pytest.mark.parametrize("case", range(4))
def test_labels_of_amg_are_those_of_micro_sam(amg, case):
    """Logits at image size pass as low-res logits of a network whose square is as large."""
    logits = amg["logits"].astype(np.float32)
    size = logits.shape[2:]
    grid = 24
    side = 4 * grid
    padded = np.full((len(logits), 3, side, side), -9, np.float32)
    padded[..., : size[0], : size[1]] = logits
    config = ModelConfig(
        architecture=Architecture(
            image_encoder=VitConfig(image_size=side, patch_size=4, embed_dim=8, num_heads=1)
        ),
        preprocessing=Preprocessing(scale=1.0),
    )
    embeddings = ImageEmbeddings(
        np.zeros((1, 256, grid, grid), np.float32), tuple(whole(size)), size, ""
    )
    # A grid of 5 x 5 points; the golden has 20.
    missing = np.zeros((5, 3), np.float32)
    networks = StoredNetworks(
        np.concatenate([padded, np.full((5, 3, side, side), -9, np.float32)]),
        np.concatenate([amg["iou"], missing - 1]),
    )
    parameters = AmgParameters(points_per_side=5, **json.loads(str(amg[f"params{case}"])))
    found = segment_by_grid(networks, config, embeddings, parameters)
    expected = amg[f"labels{case}"]
    assert expected.max() > 1
    np.testing.assert_array_equal(found, expected)


def test_defaults_are_those_of_micro_sam(amg, apg):
    assert AmgParameters(**json.loads(str(amg["params0"]))) == AmgParameters()
    assert ApgParameters(**json.loads(str(apg["params0"]))) == ApgParameters()


def test_points_of_apg_are_those_of_micro_sam(apg):
    maps = apg["maps"].astype(np.float32)
    variant = ApgParameters(
        foreground_threshold=1 - 0.8,
        center_distance_threshold=0.8,
        boundary_distance_threshold=0.8,
    )
    for name, parameters in (("", ApgParameters()), ("_variant", variant)):
        found = seed_points(*maps, parameters=parameters)
        np.testing.assert_array_equal(found, apg[f"points{name}"])
    assert not np.array_equal(apg["points"], apg["points_variant"])


@pytest.mark.parametrize("case", range(3))
def test_labels_of_apg_are_those_of_micro_sam(apg, case):
    logits = apg["logits"].astype(np.float32)
    size = logits.shape[1:]
    padded = np.full((len(logits), 96, 96), -9, np.float32)
    padded[:, : size[0], : size[1]] = logits
    enlargement = Enlargement.between(96, 96, size, size)
    candidates = [
        measure(values, enlargement, origin=(0, 0), predicted_iou=float(iou), point=(0, 0))
        for values, iou in zip(padded, apg["iou"], strict=True)
    ]
    parameters = ApgParameters(**json.loads(str(apg[f"params{case}"])))
    found = merge_by_score([one for one in candidates if one is not None], size, parameters)
    expected = apg[f"labels{case}"]
    assert expected.max() > 2
    np.testing.assert_array_equal(found, expected)
