"""A page runs no script and loads nothing from elsewhere."""

from samzoo.zoo.gallery.page_frame import html_page


def test_the_title_is_escaped_and_the_policy_allows_its_own_pictures_alone():
    page = html_page("a < b", "<p>{body}</p>", style="p { margin: 0; }").decode()
    assert "<title>a &lt; b</title>" in page
    assert "<style>p { margin: 0; }</style>" in page
    assert "<body>\n<p>{body}</p>\n</body>" in page
    assert "default-src 'none'; img-src 'self';\n style-src 'unsafe-inline'" in page
