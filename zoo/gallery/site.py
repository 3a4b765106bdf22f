"""The gallery's pages, without scripts or outside files, for a web server or a local folder.

In: package folders. Out: a folder with ``index.html``, and a page and cover for each model. Cards
come from strangers: all text is escaped, and covers must be PNG files.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from samzoo.runtime.errors import FormatError, SamzooError, all_bad
from samzoo.runtime.formats.files import write_json
from samzoo.runtime.formats.manifest import FileEntry, Manifest, read_entry
from samzoo.runtime.formats.outputs import write_bytes, write_folder
from samzoo.zoo.cards.card_pictures import COVER, OWN, named_pictures
from samzoo.zoo.hub.default_choice import DEFAULT_MODEL
from samzoo.zoo.packages.changes import read_card
from samzoo.zoo.packages.summary import score_words, summarise

from .filters import classes, facets, filter_html, filter_style
from .markdown import to_html, without_header
from .page_frame import html_page

LISTING = "samzoo-gallery.json"
"""The file that marks a folder as written by samzoo, so that ``--force`` may replace it."""

PNG = b"\x89PNG\r\n\x1a\n"

STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #8882; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1rem; font: 17px/1.5 system-ui, sans-serif;
  overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; } h2 { font-size: 1.2rem; margin: 1.6rem 0 .4rem; }
a { color: #06c; } @media (prefers-color-scheme: dark) { a { color: #7bf; } }
code, pre { font: .88em/1.45 ui-monospace, monospace; background: var(--soft); border-radius: 4px; }
code { padding: .1em .3em; } pre { padding: .7em; overflow-x: auto; }
pre code { padding: 0; background: none; font-size: 1em; }
.models { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); }
.model { border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
.model > div { padding: .8rem 1rem 1rem; }
.model h2 { margin: 0 0 .3rem; } .model p { margin: 0 0 .6rem; }
img { display: block; width: 100%; height: auto; background: var(--soft); }
p > img { width: auto; max-width: 100%; } td img, th img { width: 256px; max-width: none; }
.model img { height: 11rem; object-fit: cover; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .1rem .8rem; margin: 0 0 .6rem; }
dt { opacity: .7; } dd { margin: 0; }
.wide { overflow-x: auto; } table { border-collapse: collapse; min-width: 20rem; font-size: .92em; }
th, td { border: 1px solid var(--line); padding: .25rem .5rem; text-align: left;
  vertical-align: top; overflow-wrap: break-word; }
footer { margin-top: 2rem; opacity: .7; font-size: .9em; }
"""


def write_gallery(
    packages: Mapping[str, Path], output: Path, *, force: bool = False
) -> dict[str, list[str]]:
    """Write the gallery.

    Args:
        packages: Package folders by the reference to pass as ``--model``.
        output: The folder to write.
        force: Replace an existing folder.

    Returns:
        ``models``, the models shown, and ``problems``, which tell why others are not.

    Raises:
        FormatError: No package can be shown.
        OutputExistsError: ``output`` exists and ``force`` is false.
        StorageError: The disk is full or the folder cannot be written.
    """
    shown: dict[str, tuple[Path, Manifest, str]] = {}
    problems = []
    for reference, folder in packages.items():
        try:
            shown[reference] = folder, Manifest.read(folder), read_card(folder) or ""
        except SamzooError as error:
            problems.append(str(error))
    if problems and not shown:
        raise FormatError(all_bad("packages", problems))

    found = facets({reference: manifest for reference, (_, manifest, _) in shown.items()})

    def fill(site: Path) -> None:
        cards = []
        for number, (reference, (folder, manifest, card)) in enumerate(shown.items()):
            place = f"{number}-{manifest.name}"
            cover = _cover(folder, manifest)
            if cover:
                write_bytes(site / place / "cover.png", cover)
            chosen_by = classes(reference, found)
            cards.append(_tile(reference, manifest, place, chosen_by, has_cover=bool(cover)))
            pictures = _pictures(folder, manifest)
            for name, data in pictures.items():
                write_bytes(site / place / name, data)
            details = _details(manifest, card, reference, bool(cover), [*pictures])
            page = html_page(manifest.name, details, style=STYLE)
            write_bytes(site / place / "index.html", page)
        title, style = "Segmentation models", STYLE + filter_style(found)
        body = f'<h1>{title}</h1>\n{filter_html(found)}<div class="models">{"".join(cards)}</div>'
        write_bytes(site / "index.html", html_page(title, body + FOOTER, style=style))
        write_json(site / LISTING, {"models": [*shown]})

    write_folder(output, fill, force=force)
    return {"models": [*shown], "problems": problems}


FOOTER = (
    "\n<footer>Made by <code>samzoo gallery</code>. Models run on a CPU, without torch.</footer>"
)


def _cover(folder: Path, manifest: Manifest) -> bytes:
    """Read the card's first picture; empty if there is none."""
    return _picture(folder, manifest, str(manifest.card.get(COVER, "")))


def _pictures(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """Read the other pictures of the card, by their path; those with names of samzoo's alone."""
    names = named_pictures(manifest) - {str(manifest.card.get(COVER, ""))}
    found = {
        name: _picture(folder, manifest, name) for name in sorted(names) if OWN.fullmatch(name)
    }
    return {name: data for name, data in found.items() if data}


def _picture(folder: Path, manifest: Manifest, name: str) -> bytes:
    """Read a picture and check it against the manifest; empty if it is not there or no PNG."""
    entry: FileEntry | None = next((e for e in manifest.files if e.path == name), None)
    if entry is None:
        return b""
    try:
        data = read_entry(folder, entry)
    except SamzooError:
        return b""
    return data if data.startswith(PNG) else b""


def _tile(
    reference: str, manifest: Manifest, place: str, chosen_by: str, *, has_cover: bool
) -> str:
    name = html.escape(manifest.name)
    place = html.escape(place)
    picture = f'<img src="{place}/cover.png" alt="" loading="lazy">' if has_cover else ""
    command = html.escape(_command(reference, manifest))
    return (
        f'<article class="model {chosen_by}">{picture}<div><h2><a href="{place}/index.html">{name}'
        f"</a></h2><p>Segments {html.escape(manifest.segments or 'objects')}.</p>"
        f"{_facts(manifest)}<code>{command}</code></div></article>"
    )


def _details(
    manifest: Manifest, card: str, reference: str, has_cover: bool, pictures: Sequence[str]
) -> str:
    picture = '<img src="cover.png" alt="A segmentation by this model">' if has_cover else ""
    tools = sorted({entry.path.split("/")[0] for entry in manifest.files if "/" in entry.path})
    others = [tool for tool in tools if tool not in ("onnx", "test", "adapters", "pictures")]
    opens = f"<p>Also holds: {html.escape(', '.join(others))}.</p>" if others else ""
    return (
        f'<p><a href="../index.html">All models</a></p>{picture}'
        f"<pre>{html.escape(_command(reference, manifest))}</pre>{opens}"
        f"{to_html(without_header(card), pictures=pictures)}{FOOTER}"
    )


def _command(reference: str, manifest: Manifest) -> str:
    first = manifest.adapters[0].model if manifest.adapters else manifest.model
    model = "" if reference == DEFAULT_MODEL else f" --model {reference}"
    if first.architecture.ais_decoder is None:
        return f"samzoo prompt image.tif -o labels.tif --point 120 80{model}"
    return f"samzoo segment image.tif -o labels.tif{model}"


def _facts(manifest: Manifest) -> str:
    row = summarise(manifest)
    several = [
        f"{each.name}: {each.segments or 'objects'} {score_words(each.scores)}".strip()
        for each in row.adapters
    ]
    facts = {
        "mSA": score_words(row.scores),
        "Tested on": row.tested_on,
        "Adapters": "; ".join(several),
        "Base": row.base,
        "Method": row.method,
        "Size": f"{row.megabytes:.0f} MB",
        "Licence": row.license or "not declared",
    }
    cells = "".join(
        f"<dt>{html.escape(key)}</dt><dd>{html.escape(value)}</dd>"
        for key, value in facts.items()
        if value
    )
    return f"<dl>{cells}</dl>"
