"""Hostile requests: none of them reaches the session, and none learns anything."""

import asyncio

import pytest

from samzoo.zoo.annotation_page.guards import HEADERS, MOST_BYTES, Guard, new_token

HOME = "http://127.0.0.1:8765"
STATE, DISCARD = "/secret-token/api/state", "/secret-token/api/discard"
JSON = {"Origin": HOME, "Content-Type": "application/json"}


def test_the_page_and_its_files_are_sent_with_strict_headers(client):
    for path in ("", "page.js", "page.css", "api/state", "api/image.png", "api/labels"):
        answer = client.get(f"/secret-token/{path}")
        assert answer.status_code == 200
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
        assert "access-control-allow-origin" not in answer.headers
    policy = HEADERS["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_page_loads_nothing_from_elsewhere(client):
    for path in ("", "page.js", "page.css"):
        text = client.get(f"/secret-token/{path}").text
        assert "://" not in text
        assert "innerHTML" not in text
        assert " style=" not in text
        assert " onclick" not in text


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/api/state", {}, 404),
        ("/", {}, 404),
        ("/wrong-token/api/state", {}, 404),
        ("/secret-toke/api/state", {}, 404),
        ("/secret-token2/api/state", {}, 404),
        ("/secret%2Dtoken/api/state", {}, 404),
        (STATE, {"Host": "evil.example"}, 403),
        (STATE, {"Host": "127.0.0.1"}, 403),
        (STATE, {"Host": "127.0.0.1:80"}, 403),
        (STATE, {"Host": "127.0.0.1:8765.evil.example"}, 403),
        (STATE, {"Host": ""}, 403),
        (STATE, {"Origin": "http://evil.example"}, 403),
        (STATE, {"Origin": "null"}, 403),
        (STATE, {"Origin": "https://127.0.0.1:8765"}, 403),
        (STATE, {"Origin": "http://localhost:8765"}, 403),
        (STATE, {"Sec-Fetch-Site": "cross-site"}, 403),
        (STATE, {"Sec-Fetch-Site": "same-site"}, 403),
        (STATE, {"Sec-Fetch-Site": "same-origin"}, 200),
        (STATE, {"Host": "localhost:8765", "Origin": "http://localhost:8765"}, 200),
    ],
)
def test_only_the_own_page_is_let_in(client, path, headers, status):
    answer = client.get(path, headers=headers)
    assert answer.status_code == status
    if status != 200:
        assert "secret" not in answer.text
        assert answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({**JSON}, b"{}", 200),
        ({"Origin": HOME, "Content-Type": "text/plain"}, b"{}", 415),
        ({"Origin": HOME, "Content-Type": "application/x-www-form-urlencoded"}, b"a=1", 415),
        ({"Origin": HOME}, b"{}", 415),
        ({"Content-Type": "application/json"}, b"{}", 403),
        ({**JSON, "Origin": "http://evil.example"}, b"{}", 403),
        ({**JSON, "Content-Length": "-1"}, b"", 400),
        (JSON, b"x" * (MOST_BYTES + 1), 413),
        ({**JSON, "Content-Length": str(10**12)}, b"", 413),
        (JSON, b"not JSON", 400),
        (JSON, b"[" * 5000, 400),
        (JSON, b"[]", 400),
        (JSON, b"\xff\xfe", 400),
    ],
)
def test_a_post_must_be_small_json_of_the_own_page(client, headers, content, status):
    answer = client.post(DISCARD, headers=headers, content=content)
    assert answer.status_code == status, answer.text
    assert "Traceback" not in answer.text


def test_a_body_without_a_length_is_counted(client):
    def endless():
        for _ in range(1000):
            yield b"x" * 1000

    assert client.post(DISCARD, headers=JSON, content=endless()).status_code == 413


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD", "TRACE", "PATCH"])
def test_other_methods_are_refused(client, method):
    assert client.request(method, STATE, headers={"Origin": HOME}).status_code == 405


@pytest.mark.parametrize(
    "rest",
    [
        "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "page.py",
        "guards.py", "/etc/passwd", "//etc/passwd", "api/../../page.html/x", "page.js%00.png",
        "api/labels/../../x", "api/state/", "api/labels/-1/0/1/1", "api/labels/0/0/9999/9999",
        "api/labels/0/0/99999999999999999999/1", "api/open", "caf\u00e9",
    ],
)  # fmt: skip
def test_paths_name_no_other_file(client, rest):
    answer = client.get(f"/secret-token/{rest}", follow_redirects=False)
    assert answer.status_code in (307, 400, 404, 405)
    assert "root:" not in answer.text
    assert "import " not in answer.text


def test_a_websocket_is_closed():
    sent = []

    async def app(*_):
        raise AssertionError("it came through")

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "websocket.connect"}

    guard = Guard(app, token="t", port=1)
    asyncio.run(guard({"type": "websocket"}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_tokens_cannot_be_guessed_and_differ():
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 32
