"""Environments of the annotation tools, made once and kept outside of the repository.

They see the packages of the running environment (torch, onnxruntime, NumPy) and put the tools on
top, without the dependencies that only their windows need.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from samzoo.zoo.downloads.file_lock import locked

CACHE = Path(tempfile.gettempdir()) / "samzoo-load-proofs"

SECONDS = 600
"""Most that an installation may take."""


class CannotInstall(Exception):
    """A tool is not to be had here; the message is the installer's."""


def python_environment(*requirements, complete=()):
    """Return the Python of an environment with these packages and nothing that they ask for.

    ``complete`` are further packages, which come with what they ask for.
    """
    folder = CACHE / _key(requirements, complete, sys.version, sys.prefix)
    python = folder / "bin" / "python"
    with locked(folder.with_suffix(".lock")):  # another process may want the same one
        if (folder / "done").exists():
            return python
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
        here = Path(sysconfig.get_paths(vars={"base": str(folder)})["purelib"])
        (here / "zz_running_environment.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
        install = [
            sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet",
            "--no-compile",  # most modules are never imported
        ]  # fmt: skip
        _run([*install, "--no-deps", *requirements])
        if complete:
            _run([*install, *complete])
        (folder / "done").touch()
    return python


def node_environment(*packages):
    """Return a folder with these npm packages; no script that they bring is run."""
    if shutil.which("npm") is None:
        raise CannotInstall("there is no npm")
    folder = CACHE / _key(packages, "npm")
    with locked(folder.with_suffix(".lock")):
        if (folder / "done").exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_text('{"private": true, "type": "module"}')
        _run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *packages],
             cwd=folder)  # fmt: skip
        (folder / "done").touch()
    return folder


def _key(*parts):
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _run(command, **options):
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, check=False, **options
        )
    except subprocess.TimeoutExpired as error:
        raise CannotInstall(f"{command[0]} took more than {SECONDS} s") from error
    if done.returncode:
        raise CannotInstall((done.stderr or done.stdout).strip()[-400:])
