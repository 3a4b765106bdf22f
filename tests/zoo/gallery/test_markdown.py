"""Cards become HTML; nothing in them runs, and nothing loads from elsewhere."""

from html.parser import HTMLParser

import pytest

from samzoo.zoo.gallery.markdown import to_html, without_header

TAGS = {
    "a", "blockquote", "code", "div", "em", "h1", "h2", "h3", "hr", "li", "ol", "p", "pre",
    "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
"""All that a card may become."""


class Found(HTMLParser):
    """Collects tags and attributes."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(tag, *pair) for pair in attrs]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# A *b*", "<h1>A <em>b</em></h1>"),
        ("a **b** `c<d`", "<p>a <strong>b</strong> <code>c&lt;d</code></p>"),
        ("- a\n- b\n  c", "<ul>\n<li>a</li>\n<li>b\nc</li>\n</ul>"),
        ("```sh\na & b\n```", '<pre><code class="language-sh">a &amp; b\n</code></pre>'),
        ("[a](https://b.c/d)", '<p><a href="https://b.c/d" rel="nofollow noreferrer">a</a></p>'),
        ("[a](../../b.md) c", "<p>a c</p>"),
        ("[**a** [b](https://c.d)](e)", '<p>[<strong>a</strong> <a href="https://c.d" '
         'rel="nofollow noreferrer">b</a>](e)</p>'),
        ("![a](b.png)", "<p></p>"),
        ("| a | b |\n| --- | --- |\n| 1 | <i> |",
         '<div class="wide"><table>\n<thead>\n<tr>\n<th>a</th>\n<th>b</th>\n</tr>\n</thead>\n'
         "<tbody>\n<tr>\n<td>1</td>\n<td>&lt;i&gt;</td>\n</tr>\n</tbody>\n</table></div>"),
        ("```\nnever closed", "<pre><code>never closed</code></pre>"),
        ("|", "<p>|</p>"),
        ("#nothing", "<p>#nothing</p>"),
        ("", ""),
    ],
)  # fmt: skip
def test_markdown_becomes_html(text, expected):
    assert to_html(text) == expected


def test_a_table_without_a_head_has_no_empty_one():
    assert "<thead>" not in to_html("| | |\n|---|---|\n| a | b |")
    assert "<td>b</td>" in to_html("| | |\n|---|---|\n| a | b |")


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<iframe src='https://elsewhere.org'></iframe>\n\n<style>*{display:none}</style>",
        "[a](javascript:alert(1)) [b](JAVASCRIPT:alert(1)) [c](java\nscript:alert(1))",
        "[a](data:text/html;base64,PHNjcmlwdD4=) <data:text/html,x> <javascript:alert(1)>",
        "[a][b]\n\n[b]: javascript:alert(1)",
        "![a](https://elsewhere.org/pixel.png)",
        "[![a](https://elsewhere.org/pixel.png)](https://elsewhere.org)",
        '[a](https://b.c "x\\" onmouseover=\\"alert(1)")',
        '[a](https://b.c/" onmouseover=alert(1))',
        '```" onclick=alert(1)\nx\n```',
        "| <b onclick=x> | ![a](b) |\n|---|---|\n| [x](file:///etc/passwd) | &lt;script&gt; |",
        "&#60;script&#62;alert(1)&#60;/script&#62;",
        "# <a href=javascript:alert(1)>x</a>",
    ],
)
def test_nothing_of_a_hostile_card_runs_or_loads(text):
    found = Found(to_html(text))
    assert found.tags <= TAGS
    for tag, name, value in found.attributes:
        assert (tag, name) in {
            ("a", "href"), ("a", "rel"), ("a", "title"), ("code", "class"), ("div", "class"),
            ("ol", "start"),
        }  # fmt: skip
        assert name != "href" or value.startswith(("http://", "https://"))


@pytest.mark.parametrize(
    "text", ["> " * 5_000 + "a", "- " * 5_000 + "a", "*a " * 20_000, "`" * 20_001]
)
def test_deep_and_long_cards_are_no_trouble(text):
    assert Found(to_html(text)).tags <= TAGS


def test_a_header_is_dropped():
    assert without_header("---\na: 1\n---\n# B") == "# B"
    assert without_header("# B") == "# B"
