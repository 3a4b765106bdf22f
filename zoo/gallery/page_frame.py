"""The frame of a web page that runs nothing and loads nothing from elsewhere.

In: a title, a style sheet and a body. Out: the page, for a web server or a local folder.
"""

from __future__ import annotations

import html

_FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src 'self';
 style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def html_page(title: str, body: str, *, style: str) -> bytes:
    """Return a page in UTF-8 whose policy allows pictures of its own folder and no scripts.

    Args:
        title: Plain text, which is escaped.
        body: HTML; whoever calls has escaped what strangers wrote.
        style: A style sheet.
    """
    return _FRAME.format(title=html.escape(title), style=style, body=body).encode()
