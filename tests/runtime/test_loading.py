"""A package in onnxruntime against the same rules in numpy, and packages that are not whole."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from samzoo.runtime import load
from samzoo.runtime.errors import FormatError, InputError, NotFoundError
from samzoo.runtime.formats.manifest import FileEntry, Manifest

CENTERS = [(15, 20), (40, 90), (100, 30), (85, 110)]


def test_a_package_gives_the_labels_and_masks_of_its_rules(toy_package, toy_model, discs):
    image = discs((120, 128), CENTERS)
    model = load(toy_package)
    np.testing.assert_array_equal(model.segment(image), toy_model.segment(image))
    embeddings = model.embed(image)
    np.testing.assert_array_equal(embeddings.values, toy_model.embed(image).values)
    low_res = None
    for prompts in (
        {"points": [[[20, 15]], [[90, 40]]], "point_labels": [[1], [1]]},
        {"boxes": [[10, 10, 30, 20], [80, 30, 99, 50]]},
        {"boxes": [[10, 10, 30, 20], [80, 30, 99, 50]], "mask_input": low_res},
    ):
        found = model.prompt(embeddings, **prompts)
        expected = toy_model.prompt(embeddings, **prompts)
        np.testing.assert_array_equal(found[0], expected[0])
        for ours, theirs in zip(found[1:], expected[1:], strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)  # rounding of logits up to 10
        low_res = found[2]


def test_a_base_for_a_package_with_its_own_encoder_is_refused(toy_package):
    with pytest.raises(InputError, match=r"base: found 'x', but .* has its own encoder; omit base"):
        load(toy_package, base="x")


def test_a_package_is_opened_by_string_and_threads_do_not_matter(toy_package, discs):
    image = discs((64, 64), [(20, 20)])
    expected = load(toy_package).segment(image)
    np.testing.assert_array_equal(load(str(toy_package), threads=1).segment(image), expected)


def test_threads_may_share_a_model_whose_graphs_are_not_yet_loaded(toy_package, discs):
    images = [discs((64, 64), [(20, 10 + 5 * i), (50, 40)]) for i in range(8)]
    boxes = [[[5 + 5 * i, 10, 20 + 5 * i, 30]] for i in range(8)]

    def work(model, i):
        embeddings = model.embed(images[i])
        masks, _, low_res = model.prompt(embeddings, boxes=boxes[i])
        return model.segment(embeddings), masks, low_res

    alone = load(toy_package)
    expected = [work(alone, i) for i in range(8)]
    shared = load(toy_package)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: work(shared, i), range(8)))
    for ours, theirs in zip(found, expected, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)


def test_what_progress_raises_ends_the_work_and_the_model_goes_on(toy_package, discs):
    class Cancelled(Exception):
        pass

    def cancel(stage, done, total):
        raise Cancelled

    model, image = load(toy_package), discs((120, 128), CENTERS)
    with pytest.raises(Cancelled):
        model.segment(image, progress=cancel)
    embeddings = model.embed(image)
    with pytest.raises(Cancelled):
        model.prompt(embeddings, boxes=[[1, 1, 9, 9]], progress=cancel)
    assert model.segment(embeddings).max() == len(CENTERS)


def test_graphs_are_read_when_they_are_needed(toy_package, discs):
    (toy_package / "onnx" / "mask_decoder.onnx").unlink()
    model = load(toy_package)
    image = discs((64, 64), [(20, 20)])
    assert model.segment(image).max() == 1
    with pytest.raises(NotFoundError, match=r"mask_decoder\.onnx: listed in samzoo\.json but not"):
        model.prompt(model.embed(image), points=[[1, 1]], point_labels=[1])


def test_a_package_without_ais_decoder_prompts_only(make_package, toy_config, tmp_path, discs):
    model = load(make_package(tmp_path / "p", config=toy_config(ais=False)))
    image = discs((64, 64), [(20, 20)])
    with pytest.raises(InputError, match="no AIS decoder"):
        model.segment(image)
    assert model.prompt(model.embed(image), boxes=[15, 15, 25, 25])[0].any()


@pytest.mark.parametrize("role", ["encoder", "mask_decoder", "ais_decoder"])
def test_a_missing_role_is_named_on_loading(toy_package, role):
    manifest = Manifest.read(toy_package)
    others = tuple(
        FileEntry(path=entry.path, size=entry.size, sha256=entry.sha256, role="")
        if entry.role == role else entry
        for entry in manifest.files
    )  # fmt: skip
    changed = Manifest(name="toy", model=manifest.model, files=others)
    changed.write(toy_package)
    with pytest.raises(FormatError, match=rf"samzoo\.json: files: no file has the role '{role}'"):
        load(toy_package)


def test_a_changed_graph_is_refused_before_it_is_run(toy_package, discs):
    path = toy_package / "onnx" / "encoder.onnx"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"encoder\.onnx: 725 bytes do not match"):
        load(toy_package).segment(discs((64, 64), [(20, 20)]))
