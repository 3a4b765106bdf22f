"""The estimate of an image in pieces: that of the whole image, and kept for a later run."""

import dataclasses

import numpy as np
import pytest
import tifffile

from samzoo.runtime import load
from samzoo.runtime.automatic import sizing
from samzoo.runtime.engine.object_scale import ObjectScale
from samzoo.runtime.errors import InputError
from samzoo.runtime.large.large_image import segment_large
from samzoo.runtime.pieces.steps import ThisProcess
from samzoo.runtime.volumes.stack import StackOptions, segment_stack


@pytest.fixture
def package(tmp_path, make_package, toy_config):
    config = toy_config(object_diameter=12.0, intensity="percentile")
    return make_package(tmp_path / "package", config=config)


@pytest.fixture
def image(discs):
    return discs((300, 260), [(y, x) for y in range(30, 290, 45) for x in range(30, 250, 45)], 10.0)


def origin(done):
    return done.scale.origin


def test_pieces_see_what_the_whole_image_is_seen_at(make_request, image, package):
    request = make_request(image, diameter="auto")
    done = segment_large(request)
    model = load(package)
    scale = model.object_scale(image)
    assert done.scale == scale
    assert scale.origin == "estimated"
    expected = model.segment(image, diameter="auto")
    np.testing.assert_array_equal(tifffile.imread(request.output), expected)


def test_a_given_diameter_is_used_in_pieces(make_request, image, package):
    request = make_request(image, diameter=20.0)
    assert segment_large(request).scale == ObjectScale(20.0, 0.6, "given")
    expected = load(package).segment(image, diameter=20.0)
    np.testing.assert_array_equal(tifffile.imread(request.output), expected)


class Interrupted(ThisProcess):
    def run(self, context, step, pieces, done):
        super().run(context, step, pieces[:1], done)
        raise KeyboardInterrupt


def test_a_resumed_run_takes_the_estimate_that_it_began_with(make_request, image, monkeypatch):
    expected = segment_large(make_request(image, diameter="auto", output="once.tif"))
    with pytest.raises(KeyboardInterrupt):
        segment_large(make_request(image, diameter="auto", executor=Interrupted()))
    monkeypatch.setattr(sizing, "estimate_diameter", None)  # it is not made again
    done = segment_large(make_request(image, diameter="auto"))
    assert done.resumed
    assert done.scale == expected.scale
    np.testing.assert_array_equal(tifffile.imread(done.labels), tifffile.imread(expected.labels))


def test_another_diameter_is_other_work(make_request, image):
    with pytest.raises(KeyboardInterrupt):
        segment_large(make_request(image, diameter="auto", executor=Interrupted()))
    with pytest.raises(InputError, match="begun with other input: diameter: found 'auto', now"):
        segment_large(make_request(image, diameter=20.0))


def test_a_model_that_is_not_sure_keeps_that_too(make_request):
    speck = np.zeros((200, 200), np.uint8)
    speck[3:9, 3:9] = 200
    with pytest.raises(KeyboardInterrupt):
        segment_large(make_request(speck, diameter="auto", executor=Interrupted()))
    done = segment_large(make_request(speck, diameter="auto"))
    assert origin(done) == "own"
    assert any("could not be estimated" in note for note in done.notes)


def test_thresholds_in_pixels_of_the_image_stay_as_given(make_request, image):
    some = segment_large(make_request(image, diameter="auto", thresholds={"min_size": 300}))
    assert some.objects == 30  # of 317 pixels
    none = segment_large(
        make_request(image, diameter="auto", thresholds={"min_size": 340}, output="none.tif")
    )
    assert none.objects == 0


def test_a_stack_has_one_estimate(make_request, image, tmp_path):
    """That of the middle plane: the first and last planes hold nothing."""
    path = tmp_path / "stack.tif"
    stack = np.stack([0 * image, 0 * image, image, 0 * image])
    tifffile.imwrite(path, stack, photometric="minisblack", metadata={"axes": "ZYX"})
    request = make_request(path, diameter="auto")
    request = dataclasses.replace(request, table=request.output.with_name("t.csv"))
    done = segment_stack(request, StackOptions("volume"))
    assert origin(done) == "estimated"
    assert done.objects == 30
    row = request.table.read_text().splitlines()[1]
    facts = done.scale.facts() if done.scale else {}
    assert row.endswith(",".join(str(value) for value in facts.values()))
