"""The gallery's filter: what models are told apart by, as buttons and rules without scripts."""

import dataclasses
import re

import pytest

from samzoo.runtime.formats.manifest import AdapterEntry, Manifest
from samzoo.zoo.gallery.filters import IMAGES, OTHER, classes, facets, filter_html, filter_style


@pytest.fixture
def model(toy_package):
    """Make a manifest that segments something."""
    plain = Manifest.read(toy_package)

    def make(segments, **fields):
        return dataclasses.replace(plain, segments=segments, **fields)

    return make


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("nuclei in fluorescence microscopy", "fluorescence"),
        ("nuclei in stained tissue", "histology"),
        ("nuclei in H&E slides", "histology"),
        ("neurites in EM", "electron microscopy"),
        ("nerves and vessels in ultrasound", "ultrasound"),
        ("the item of a system", OTHER),
    ],
)
def test_kinds_of_images_are_told_by_the_authors_words(model, words, kind):
    other = model("lungs in radiographs")
    found = facets({"a": model(words), "b": other})[0]
    assert found.title == "Images"
    assert found.values["a"] == {kind}
    assert set(found.choices) <= {*IMAGES, OTHER}


def test_where_models_do_not_differ_there_is_nothing_to_choose(model):
    assert facets({"a": model("cells"), "b": model("cells")}) == []
    assert filter_html([]) == ""
    assert facets({}) == []


def test_a_shared_package_has_the_values_of_all_its_adapters(model, toy_config):
    adapters = (
        AdapterEntry(name="a", model=toy_config(), segments="nuclei in fluorescence"),
        AdapterEntry(name="b", model=toy_config(ais=False), segments="nerves in ultrasound"),
    )
    images, segments, works = facets({"s": model("", adapters=adapters)})
    assert images.values["s"] == {"fluorescence", "ultrasound"}
    assert segments.values["s"] == {"nuclei in fluorescence", "nerves in ultrasound"}
    assert len(works.values["s"]) == 2


def test_each_choice_has_a_button_and_a_rule_and_hides_the_others(model):
    found = facets({"a": model("nuclei in fluorescence"), "b": model("nerves in ultrasound")})
    page, style = filter_html(found), filter_style(found)
    buttons = re.findall(r'id="(f\d-\w+)"', page)
    assert buttons == ["f0-all", "f0-0", "f0-1", "f1-all", "f1-0", "f1-1"]
    assert page.count(" checked") == 2
    ruled = re.findall(r":has\(#(f\d-\d):checked\) \.model:not\(\.(f\d-\d)\)", style)
    assert ruled == [(name, name) for name in buttons if not name.endswith("all")]
    assert classes("a", found) == "f0-0 f1-1"
    assert classes("b", found) == "f0-1 f1-0"


def test_without_has_the_filter_is_not_shown():
    style = filter_style([])
    before, supported = style.split("@supports selector(:has(*))")
    assert ".filter { display: none; }" in before
    assert ".filter { display: grid" in supported


def test_texts_of_strangers_are_escaped(model):
    found = facets({"a": model("<script>"), "b": model("nuclei")})
    assert "<script>" not in filter_html(found) + filter_style(found)
