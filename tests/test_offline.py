"""Nothing acts for itself: no lookup, no connection, no file but the output, no line on stderr.

A library that is loaded before all others refuses and notes each lookup and connection to the
internet. It sees what goes through the C library, from Python and from compiled code, as
onnxruntime's telemetry does. It does not see system calls that a library makes without the C
library, and it needs Linux and a C compiler; files are looked for everywhere.
"""

import ast
import os
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "nuclei.tif"

TELEMETRY_SINCE = (1, 29)
"""The first onnxruntime whose builds for Linux and macOS have telemetry."""

GUARD = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void note(const char *what, const char *name) {
    FILE *file = fopen(getenv("GUARD_LOG"), "a");
    if (file) { fprintf(file, "%s %s\n", what, name ? name : ""); fclose(file); }
}
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) { note("getaddrinfo", node); return EAI_FAIL; }
struct hostent *gethostbyname(const char *name) { note("gethostbyname", name); return NULL; }
struct hostent *gethostbyname2(const char *name, int family) {
    note("gethostbyname2", name); return NULL;
}
static int outside(const struct sockaddr *to) {
    return to && (to->sa_family == AF_INET || to->sa_family == AF_INET6);
}
int connect(int fd, const struct sockaddr *to, socklen_t size) {
    if (outside(to)) { note("connect", NULL); errno = ENETUNREACH; return -1; }
    return syscall(SYS_connect, fd, to, size);
}
ssize_t sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *to,
               socklen_t size) {
    if (outside(to)) { note("sendto", NULL); errno = ENETUNREACH; return -1; }
    return syscall(SYS_sendto, fd, data, length, flags, to, size);
}
"""

EVERYTHING = """
import sys
from pathlib import Path
from samzoo.zoo.cli import main
image, out = sys.argv[1], Path(sys.argv[2])
for words in (
    ["segment", image, "-o", out / "labels.tif", "--overlay", out / "overlay.png"],
    ["prompt", image, "-o", out / "one.tif", "--box", "129", "60", "152", "85"],
    ["embed", image, "-o", out / "embeddings.safetensors"],
    ["verify", "nuclei-vit-t"],
    ["list"],
    ["show", "nuclei-vit-t"],
    ["methods"],
    ["doctor"],
):
    assert main([str(word) for word in words]) == 0, words
"""

FROM_PYTHON = """
import sys
from samzoo.runtime import read_image
from samzoo.zoo import load
labels = load().segment(read_image(sys.argv[1]))
assert labels.max() > 10
"""


WAITING = """
import os, pathlib, time
log = pathlib.Path(os.environ["GUARD_LOG"])
until = time.monotonic() + 30
while time.monotonic() < until and not (log.exists() and "getaddrinfo" in log.read_text()):
    time.sleep(0.1)
"""
"""When onnxruntime first asks for its server's address is up to onnxruntime."""


@pytest.fixture(scope="session")
def guard(tmp_path_factory):
    """The library that refuses the internet; None where it cannot be built."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        return None
    folder = tmp_path_factory.mktemp("guard")
    (folder / "guard.c").write_text(GUARD)
    command = [compiler, "-shared", "-fPIC", "-w", "-o", folder / "guard.so", folder / "guard.c"]
    subprocess.run(command, check=True)
    return folder / "guard.so"


@pytest.fixture
def guarded(guard, tmp_path):
    """Runs code where the internet is refused; gives what happened."""

    def run(code, *arguments, **variables):
        log = tmp_path / "guard.log"
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "OMP_NUM_THREADS": "1",
            "GUARD_LOG": str(log),
            **({"LD_PRELOAD": str(guard)} if guard is not None else {}),
            **variables,
        }
        if sys.platform == "win32":
            environment["SYSTEMROOT"] = os.environ["SYSTEMROOT"]
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            cwd=work, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert list(work.iterdir()) == []
        return done, log.read_text().split() if log.exists() else []

    return run


def files_in(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def homes(home):
    """Variables that lead everything a program keeps for itself into one folder."""
    return {"HOME": str(home), "USERPROFILE": str(home), "LOCALAPPDATA": str(home / "local")}


@pytest.mark.slow
def test_the_verbs_look_nothing_up_and_write_nothing_but_their_outputs(guarded, tmp_path):
    home, out = tmp_path / "home", tmp_path / "out"
    home.mkdir()
    out.mkdir()
    done, calls = guarded(EVERYTHING, EXAMPLE, out, **homes(home))
    assert calls == []
    assert files_in(home) == []
    expected = ["embeddings.safetensors", "labels.tif", "one.tif", "overlay.png"]
    assert files_in(out) == expected
    assert "onnxruntime" not in done.stderr
    assert "warning" not in done.stderr.lower()


@pytest.mark.parametrize(
    "kind",
    [
        "empty",
        *(pytest.param(k, marks=pytest.mark.slow) for k in ("unwritable", "missing", "unset")),
    ],
)
def test_python_callers_are_offline_and_silent_with_any_home(guarded, tmp_path, kind):
    empty = tmp_path / "home"
    empty.mkdir()
    home = {"unwritable": Path(os.devnull), "missing": tmp_path / "gone"}.get(kind, empty)
    variables = {} if kind == "unset" else {**homes(home), "XDG_CACHE_HOME": str(home / "cache")}
    done, calls = guarded(FROM_PYTHON, EXAMPLE, **variables)
    assert (done.stdout, done.stderr) == ("", "")
    assert calls == []
    assert files_in(empty) == []
    assert not (tmp_path / "gone").exists()


def has_telemetry():
    version = tuple(int(part) for part in metadata.version("onnxruntime").split(".")[:2])
    return version >= TELEMETRY_SINCE and sysconfig.get_platform().startswith(("linux", "macosx"))


@pytest.mark.skipif(not has_telemetry(), reason="this onnxruntime has no telemetry")
def test_a_user_may_switch_telemetry_on_and_the_guard_sees_it(guarded, guard, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    code = f"{FROM_PYTHON}\n{WAITING}"
    _, calls = guarded(code, EXAMPLE, ORT_DISABLE_TELEMETRY="0", **homes(home))
    assert any(name.endswith("deviceid") for name in files_in(home))
    if guard is not None:
        assert "getaddrinfo" in calls


def test_onnxruntime_is_imported_by_one_function_alone():
    """Every other import would begin its telemetry, if it came first."""
    root = Path(__file__).parents[1]
    found = [
        f"{path.relative_to(root)}:{node.lineno}"
        for part in ("runtime", "training", "zoo", "benchmarks", "examples")
        for path in (root / part).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in (
            [node.module]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
        if (name or "").partition(".")[0] == "onnxruntime"
    ]
    assert not found
