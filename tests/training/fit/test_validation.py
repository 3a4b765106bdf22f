"""Which tasks a run validates on, what it refuses before training, and the mean scores."""

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import ImageError, InputError
from samzoo.runtime.evaluation.scoring import evaluate_image
from samzoo.training.config import TrainConfig

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from samzoo.training.data.annotated import Annotated  # noqa: E402
from samzoo.training.fit.validation import check_validation_data, possible_tasks, validate  # noqa: E402


def annotated(seed):
    image, labels = tiny.make_cells((64, 64), seed)
    return Annotated(image, labels, f"cells {seed}")


def test_ais_is_left_out_where_there_is_no_decoder():
    assert possible_tasks(TrainConfig()) == ["ais", "point", "box"]
    assert possible_tasks(TrainConfig(ais_decoder=None)) == ["point", "box"]
    with pytest.raises(InputError, match="only 'ais' is named, but ais_decoder is off"):
        possible_tasks(TrainConfig(ais_decoder=None, validation_tasks=("ais",)))
    with pytest.raises(InputError, match="tasks: found 'iou', known are: "):
        possible_tasks(TrainConfig(validation_tasks=("iou",)))


def test_images_without_a_large_object_are_refused_by_name():
    check_validation_data([annotated(0)], 20)
    with pytest.raises(ImageError, match="cells 1: no object of at least 5000 pixels"):
        check_validation_data([annotated(1)], 5000)
    empty = Annotated(np.zeros((9, 9), np.uint8), np.zeros((9, 9), np.int32), "empty")
    check_validation_data([annotated(0), empty], 0)  # without objects, it is data
    with pytest.raises(ImageError, match="no validation image holds an object"):
        check_validation_data([empty], 0)
    with pytest.raises(InputError, match="val_data: expected at least one image"):
        check_validation_data([], 20)


def test_scores_are_means_over_images_and_tasks():
    from samzoo.runtime.model import Model
    from samzoo.training.networks.graphs import TorchNetworks

    sam = tiny.make_sam(tiny.make_config(scale=1.0))
    model = Model(sam.config, TorchNetworks(sam))
    images, tasks = [annotated(0), annotated(1)], ["point", "box"]
    config = TrainConfig(seed=3, min_object_size=30)
    scores = validate(lambda _: model, images, tasks, config)
    assert list(scores) == ["point", "box", "score"]
    for task in tasks:
        expected = [
            evaluate_image(model, a.image, a.labels, tasks=[task], seed=3, min_object_size=30)
            for a in images
        ]
        assert scores[task] == pytest.approx(np.mean([e[task]["msa"] for e in expected]))
    assert scores["score"] == pytest.approx((scores["point"] + scores["box"]) / 2)
