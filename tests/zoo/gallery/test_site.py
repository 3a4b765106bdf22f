"""The gallery: every model with its facts, nothing of a card runs, and it fits a phone."""

import dataclasses
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from PIL import Image

from samzoo.runtime.formats.manifest import CardPicture, Manifest
from samzoo.zoo import resolve
from samzoo.zoo.cards.card_pictures import own_path, png_of
from samzoo.zoo.cli import main
from samzoo.zoo.gallery.site import write_gallery
from samzoo.zoo.packages.changes import update_package

HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(1)> [x](javascript:alert(1)) "&'


@pytest.fixture
def site(tmp_path):
    write_gallery({"nuclei-vit-t": resolve("nuclei-vit-t")}, tmp_path / "site")
    return tmp_path / "site"


class Tags(HTMLParser):
    """Collects tags and their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_it_shows_a_model_with_its_facts(site):
    index = (site / "index.html").read_text()
    for text in (
        "nuclei-vit-t",
        "Apache-2.0",
        "LiteMedSAM",
        "lora",
        "automatic 0.73",
        "samzoo segment",
    ):
        assert text in index
    assert "box_fill" not in index
    page = (site / "0-nuclei-vit-t" / "index.html").read_text()
    assert "<h2>Limitations</h2>" in page
    assert "library_name" not in page
    assert (site / "0-nuclei-vit-t" / "cover.png").read_bytes()[:4] == b"\x89PNG"


def test_models_that_differ_have_a_filter_and_one_alone_has_none(
    site, tmp_path, make_package, toy_config
):
    assert "<input" not in (site / "index.html").read_text()
    prompts = make_package(
        tmp_path / "a", config=toy_config(ais=False), segments="nerves in ultrasound"
    )
    packages = {"nuclei-vit-t": resolve("nuclei-vit-t"), "nerves": prompts}
    write_gallery(packages, tmp_path / "two")
    page = (tmp_path / "two" / "index.html").read_text()
    assert [tag for tag, _ in Tags(page).found].count("fieldset") == 3
    assert "body:has(#f0-1:checked) .model:not(.f0-1)" in page
    assert 'class="model f0-0 f1-1 f2-0"' in page
    assert "samzoo prompt image.tif -o labels.tif --point 120 80 --model nerves" in page


def test_links_and_pictures_are_there(site):
    for page in site.rglob("*.html"):
        for tag, attributes in Tags(page.read_text()).found:
            target = attributes.get("href" if tag == "a" else "src" if tag == "img" else "")
            if target and not target.startswith("https://"):
                assert (page.parent / target).is_file(), target


def test_it_loads_nothing_from_elsewhere_and_runs_nothing(site):
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert "default-src 'none'" in text
        for tag, attributes in Tags(text).found:
            assert tag not in ("script", "iframe", "link", "object", "form")
            assert not any(name.startswith("on") for name in attributes)
            assert not str(attributes.get("src", "")).startswith("http")


def test_nothing_of_a_hostile_package_becomes_a_tag(tmp_path):
    folder = tmp_path / "package"
    shutil.copytree(resolve("nuclei-vit-t"), folder)
    manifest = Manifest.read(folder)
    card = {key: HOSTILE for key in manifest.card} | {"cover": "cover.png"}
    update_package(
        folder, dataclasses.replace(manifest, segments=HOSTILE, license=HOSTILE, card=card)
    )
    write_gallery({HOSTILE: folder}, tmp_path / "site")
    for page in (tmp_path / "site").rglob("*.html"):
        for tag, attributes in Tags(page.read_text()).found:
            assert tag != "script"
            assert "onerror" not in attributes
            assert "javascript" not in str(attributes.get("href", ""))


def test_a_cover_that_is_no_png_is_left_out(tmp_path):
    folder = tmp_path / "package"
    shutil.copytree(resolve("nuclei-vit-t"), folder)
    manifest = Manifest.read(folder)
    card = {**manifest.card, "cover": "README.md"}
    update_package(folder, dataclasses.replace(manifest, card=card))
    write_gallery({"x": folder}, tmp_path / "site")
    assert not list((tmp_path / "site").rglob("cover.png"))


def test_a_damaged_package_is_told_and_the_others_are_shown(tmp_path):
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "samzoo.json").write_text("{")
    result = write_gallery({"bad": folder, "good": resolve("nuclei-vit-t")}, tmp_path / "site")
    assert result["models"] == ["good"]
    assert "not a JSON file" in result["problems"][0]


def test_the_command_line_writes_it_once(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SAMZOO_CACHE", str(tmp_path / "cache"))
    site = str(tmp_path / "site")
    assert main(["gallery", "-o", site]) == 0
    assert capsys.readouterr().out.strip().endswith("index.html")
    assert main(["gallery", "-o", site]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["gallery", "nuclei-vit-t", "-o", site, "--force"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1000, 1280])
def test_no_page_is_wider_than_its_screen(site, tmp_path, width):
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("there is no chromium")
    for page in site.rglob("*.html"):
        text = re.sub(r"<meta http-equiv.*?>", "", page.read_text(), flags=re.DOTALL)
        script = "<script>document.title = document.documentElement.scrollWidth</script>"
        measured = page.with_name("measured.html")
        # A frame of the width of a phone: a browser's own window has a smallest width.
        measured.write_text(text.replace("</body>", f"{script}</body>"))
        frame = page.with_name("frame.html")
        frame.write_text(
            f'<iframe id="f" src="measured.html" style="width:{width}px;height:800px;border:0">'
            "</iframe><script>onload = () => document.title ="
            " document.getElementById('f').contentDocument.title</script>"
        )
        done = subprocess.run(
            [browser, "--headless", "--no-sandbox", "--disable-gpu",
             "--allow-file-access-from-files", "--virtual-time-budget=2000", "--dump-dom",
             f"--user-data-dir={tmp_path / 'profile'}", frame.as_uri()],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        found = re.search(r"<title>(\d+)</title>", done.stdout)
        assert found, done.stdout[:500]
        assert int(found[1]) <= width, page


def test_a_model_that_cannot_be_shown_does_not_stop_the_others(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "samzoo.json").write_text("{}")
    assert main(["gallery", "nuclei-vit-t", "bad", "-o", "site"]) == 4
    assert "bad" in capsys.readouterr().err
    assert main(["gallery", "bad", "-o", "none"]) == 2
    assert not (tmp_path / "none").exists()


def test_the_pictures_of_a_card_are_shown_and_no_other_file(tmp_path):
    folder = tmp_path / "package"
    shutil.copytree(resolve("nuclei-vit-t"), folder)
    manifest = Manifest.read(folder)
    png = png_of(Image.new("RGB", (4, 4), "red"))
    own, graph = own_path("use", png), "onnx/encoder.onnx"
    pictures = tuple(
        CardPicture(path=path, shows="use", caption="a", attribution="b") for path in (own, graph)
    )
    update_package(folder, dataclasses.replace(manifest, pictures=pictures), added={own: png})
    write_gallery({"x": folder}, tmp_path / "site")
    page = tmp_path / "site" / f"0-{manifest.name}"
    assert (page / own).read_bytes() == png
    text = (page / "index.html").read_text()
    assert f'<img src="{own}" alt="a"' in text
    assert "encoder.onnx" not in text
    assert not (page / graph).exists()
