"""A base at half its image size, from conversion to labels: four to five times fewer operations."""

import json

import numpy as np
import pytest
import tiny

pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("onnx")
pytestmark = [pytest.mark.torch, pytest.mark.onnx]

from samzoo.runtime import load, read_labels, write_labels  # noqa: E402

SETTINGS = """
epochs = 1
steps_per_epoch = 3
learning_rate = 1e-3
ais_learning_rate = 1e-2
n_objects = 2
n_sub_iteration = 2
validation_tasks = ["ais", "box"]

[hyperparameters]
rank = 2
"""


@pytest.mark.slow
@pytest.mark.parametrize("encoder", tiny.ENCODERS)
def test_convert_train_merge_export_and_segment_at_half_the_size(tmp_path, encoder, run_verb):
    from PIL import Image

    config = tiny.make_config(encoder, ais=False)
    tiny.write_base(tmp_path / "base", tiny.make_sam(config))
    image, labels = tiny.make_cells((64, 64), 0)
    Image.fromarray(image).save(tmp_path / "image.png")
    write_labels(tmp_path / "labels.tif", labels)
    (tmp_path / "settings.toml").write_text(SETTINGS)

    run_verb("convert", tmp_path / "base", "--image-size", 32, "-o", tmp_path / "half")
    run_verb(
        "train", "--images", tmp_path / "image.png", "--labels", tmp_path / "labels.tif",
        "--base", tmp_path / "half", "--config", tmp_path / "settings.toml",
        "--ais-decoder", "light", "-o", tmp_path / "run",
    )  # fmt: skip
    run_verb("merge", tmp_path / "run", "-o", tmp_path / "model")
    run_verb("export", tmp_path / "model", "-o", tmp_path / "package")
    run_verb(
        "segment", tmp_path / "image.png", "--model", tmp_path / "package",
        "-o", tmp_path / "found.tif",
    )  # fmt: skip

    architecture = json.loads((tmp_path / "model/config.json").read_text())["architecture"]
    assert architecture["image_encoder"]["image_size"] == 32
    model = load(tmp_path / "package")
    embeddings = model.embed(image)
    assert embeddings.values.shape[-1] == config.grid // 2
    masks, scores, low_res = model.prompt(embeddings, boxes=[10, 10, 40, 40])
    assert masks.shape == (1, 64, 64)
    assert low_res.shape[-1] == 4 * config.grid // 2
    assert np.isfinite(scores).all()
    assert read_labels(tmp_path / "found.tif").shape == (64, 64)
