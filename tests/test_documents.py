"""Links between the pages lead somewhere, and every page explains its words."""

import re
from pathlib import Path

import pytest

from samzoo.runtime.evaluation.comparison import METRICS
from samzoo.runtime.evaluation.matching import SHOWN_PRECISIONS
from samzoo.runtime.evaluation.tasks import TASKS
from samzoo.zoo.targets import MODULES

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")],
    key=lambda path: path.relative_to(ROOT).as_posix(),
)
NAMES = [path.relative_to(ROOT).as_posix() for path in PAGES]
GLOSSARY = "docs/glossary.md"
DECISIONS = [name for name in NAMES if name.startswith("docs/decisions/")]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def anchors(text):
    """What a heading is called in an address, as GitHub makes it."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(text):
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", prose)


@pytest.mark.parametrize("name", NAMES)
def test_each_link_leads_to_a_file_and_a_heading(name):
    broken = []
    for link in links(read(name)):
        if link.startswith(("https://", "http://")):
            continue
        path, _, heading = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        if not target.exists() or (heading and heading not in anchors(target.read_text("utf-8"))):
            broken.append(link)
    assert broken == []


def test_the_glossary_explains_a_word_once():
    words = re.findall(r"^### (.+)$", read(GLOSSARY), flags=re.MULTILINE)
    assert len(words) > 50
    assert len(words) == len({word.lower() for word in words})
    entries = re.split(r"^### .+$", read(GLOSSARY), flags=re.MULTILINE)[1:]
    assert [word for word, entry in zip(words, entries, strict=True) if not entry.strip()] == []


@pytest.mark.parametrize("word", [*METRICS, *SHOWN_PRECISIONS, *TASKS])
def test_the_glossary_explains_each_metric_and_task(word):
    assert f"`{word}`" in read(GLOSSARY)


@pytest.mark.parametrize("target", MODULES)
def test_each_target_has_a_row(target):
    assert f"\n| `{target}` | " in read("docs/targets.md")


@pytest.mark.parametrize("name", [name for name in DECISIONS if not name.endswith("README.md")])
def test_each_decision_has_the_same_form_and_a_row(name):
    number = int(Path(name).name[:4])
    title, rest = read(name).split("\n", 1)
    assert re.fullmatch(rf"# {number}\. [A-Z].*[^.]", title)
    assert re.match(r"\n- Date: 20\d\d-\d\d-\d\d\n- Status: (accepted|superseded by \d+)\n", rest)
    assert re.findall(r"^## (.+)$", rest, flags=re.MULTILINE) == [
        "Context",
        "Choice",
        "Not chosen",
        "How we would notice",
    ]
    assert f"| [{number}]({Path(name).name}) |" in read("docs/decisions/README.md")


def test_decisions_are_numbered_without_gaps():
    numbers = sorted(int(Path(name).name[:4]) for name in DECISIONS if "README" not in name)
    assert numbers == list(range(1, len(numbers) + 1))
