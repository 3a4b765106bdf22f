"""A Hugging Face Hub in memory on the loopback interface, as far as samzoo asks one.

``with FakeHub() as hub`` serves at ``hub.endpoint``. Faults, by a file's path in its repository:
``hub.fail[path]`` lists HTTP statuses to answer with first, ``hub.cut[path]`` numbers of bytes
after which connections break, ``hub.corrupt`` holds paths whose first byte is flipped;
``hub.refuse_uploads`` refuses large files. ``hub.log`` has a line a request.
"""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

ID = r"(?P<repository>[^/]+/[^/]+)"
LARGE = (".onnx", ".safetensors", ".zip", ".png")
"""Suffixes that the hub wants as LFS files."""


class Repository:
    """Commits with their files, one branch, tags."""

    def __init__(self):
        self.commits = {}
        self.tags = {}
        self.head = ""
        self.add_commit({".gitattributes": b"*.onnx filter=lfs\n"}, "initial commit")

    def add_commit(self, files, title):
        text = json.dumps([self.head, title, len(self.commits)]).encode()
        self.head = hashlib.sha1(text).hexdigest()
        self.commits[self.head] = dict(files)
        return self.head

    def resolve(self, revision):
        known = {"main": self.head, **self.tags, **{commit: commit for commit in self.commits}}
        return known.get(revision)


class FakeHub:
    """See the module's docstring."""

    def __init__(self, token=""):
        self.token = token
        self.repositories = {}
        self.blobs = {}
        self.fail, self.cut, self.corrupt, self.log = {}, {}, set(), []
        self.refuse_uploads = False
        self.lock = threading.RLock()
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def put(self, repository, folder, tag=""):
        """Publish a folder without asking anybody; returns the commit."""
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        there = self.repositories.setdefault(repository, Repository())
        commit = there.add_commit(files, "put")
        if tag:
            there.tags[tag] = commit
        return commit


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def log_message(self, *_):
        pass

    def handle_request(self):
        path = unquote(urlsplit(self.path).path)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = self._chunks()
        self.hub.log.append((self.command, path, self.headers.get("Range")))
        if self.command in ("POST", "PUT") and not path.startswith("/_lfs"):
            if self.hub.token and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
                self.answer(401, {"error": "Invalid token"})
                return
        for method, pattern, function in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and method == self.command:
                with self.hub.lock:
                    function(self, body, **match.groupdict())
                return
        self.answer(404, {"error": f"no route {path}"})

    do_GET = do_POST = do_PUT = handle_request

    def _chunks(self):
        data = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def answer(self, status, body, **headers):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def repository(self, name):
        found = self.hub.repositories.get(name)
        if found is None:
            self.answer(404, {"error": "Repository not found"}, **{"X-Error-Code": "RepoNotFound"})
        return found

    # Reading

    def info(self, _, repository, revision="main"):
        found = self.repository(repository)
        commit = found and found.resolve(revision)
        if found and not commit:
            self.answer(404, {"error": "Invalid rev id"}, **{"X-Error-Code": "RevisionNotFound"})
        elif found:
            siblings = [{"rfilename": path} for path in found.commits[commit]]
            self.answer(200, {"id": repository, "sha": commit, "siblings": siblings, "tags": []})

    def refs(self, _, repository):
        found = self.repository(repository)
        if found:
            branch = {"name": "main", "ref": "refs/heads/main", "targetCommit": found.head}
            tags = [
                {"name": name, "ref": f"refs/tags/{name}", "targetCommit": commit}
                for name, commit in found.tags.items()
            ]
            self.answer(200, {"branches": [branch], "tags": tags, "converts": []})

    def resolve(self, _, repository, revision, path):
        found = self.repository(repository)
        if not found:
            return
        commit = found.resolve(revision)
        data = found.commits.get(commit, {}).get(path)
        if self.hub.fail.get(path):
            self.answer(self.hub.fail[path].pop(0), {"error": "injected"})
        elif data is None:
            self.answer(404, {"error": "Entry not found"}, **{"X-Error-Code": "EntryNotFound"})
        else:
            self._send_file(path, data)

    def _send_file(self, path, data):
        if path in self.hub.corrupt:
            data = bytes([data[0] ^ 1]) + data[1:]
        status, headers, whole = 200, {}, len(data)
        if wanted := self.headers.get("Range"):
            match = re.fullmatch(r"bytes=(\d+)-", wanted)
            start = int(match[1]) if match else 0
            data, status = data[start:], 206
            headers["Content-Range"] = f"bytes {start}-{whole - 1}/{whole}"
        if self.hub.cut.get(path):
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data[: self.hub.cut[path].pop(0)])
            self.wfile.flush()
            self.close_connection = True
            return
        self.answer(status, data, **headers)

    # Writing

    def create(self, body):
        value = json.loads(body)
        name = f"{value.get('organization') or 'tester'}/{value['name']}"
        if name in self.hub.repositories:
            self.answer(409, {"error": "exists", "url": f"{self.hub.endpoint}/{name}"})
            return
        self.hub.repositories[name] = Repository()
        self.answer(200, {"url": f"{self.hub.endpoint}/{name}", "name": name})

    def preupload(self, body, repository, revision):
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                "shouldIgnore": False,
                "oid": None,
            }
            for file in json.loads(body)["files"]
        ]
        self.answer(200, {"files": files, "commitOid": self.hub.repositories[repository].head})

    def lfs_batch(self, body, repository):
        objects = [
            {
                "oid": wanted["oid"],
                "size": wanted["size"],
                "actions": {"upload": {"href": f"{self.hub.endpoint}/_lfs/{wanted['oid']}"}},
            }
            for wanted in json.loads(body)["objects"]
        ]
        self.answer(200, {"transfer": "basic", "objects": objects})

    def lfs_put(self, body, oid):
        if self.hub.refuse_uploads:
            self.answer(403, {"error": "no uploads"})
            return
        right = hashlib.sha256(body).hexdigest() == oid
        if right:
            self.hub.blobs[oid] = body
        self.answer(200 if right else 400, b"")

    def commit(self, body, repository, revision):
        found = self.hub.repositories[repository]
        header, *operations = [json.loads(line) for line in body.splitlines() if line.strip()]
        parent = header["value"].get("parentCommit")
        if parent and parent != found.head:
            self.answer(412, {"error": "A commit has happened since."})
            return
        files = dict(found.commits[found.head])
        for operation in operations:
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                files[value["path"]] = self.hub.blobs[value["oid"]]
            elif operation["key"] == "deletedFile":
                files.pop(value["path"], None)
        oid = found.add_commit(files, header["value"]["summary"])
        url = f"{self.hub.endpoint}/{repository}/commit/{oid}"
        self.answer(200, {"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})

    def validate(self, _):
        self.answer(200, {"errors": [], "warnings": []})

    def tag(self, body, repository, revision):
        found, name = self.hub.repositories[repository], json.loads(body)["tag"]
        found.tags[name] = found.resolve(revision)
        self.answer(200, {})


ROUTES = (
    ("GET", rf"/api/models/{ID}", _Handler.info),
    ("GET", rf"/api/models/{ID}/revision/(?P<revision>[^/]+)", _Handler.info),
    ("GET", rf"/api/models/{ID}/refs", _Handler.refs),
    ("GET", rf"/{ID}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", _Handler.resolve),
    ("POST", r"/api/repos/create", _Handler.create),
    ("POST", r"/api/validate-yaml", _Handler.validate),
    ("POST", rf"/api/models/{ID}/preupload/(?P<revision>[^/]+)", _Handler.preupload),
    ("POST", rf"/{ID}\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    ("PUT", r"/_lfs/(?P<oid>[0-9a-f]{64})", _Handler.lfs_put),
    ("POST", rf"/api/models/{ID}/commit/(?P<revision>[^/]+)", _Handler.commit),
    ("POST", rf"/api/models/{ID}/tag/(?P<revision>[^/]+)", _Handler.tag),
)
