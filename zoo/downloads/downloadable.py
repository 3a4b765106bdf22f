"""The checks that a stranger's manifest must pass before any of its files is fetched.

In: a manifest. Out: nothing, or an error.
"""

from __future__ import annotations

import re

from samzoo.runtime.budgets import MAX_FILE_BYTES, MAX_FILES, MAX_PACKAGE_BYTES
from samzoo.runtime.errors import FormatError, shown
from samzoo.runtime.formats.digest import SHA256
from samzoo.runtime.formats.manifest import MANIFEST_FILE, Manifest, check_relative

_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def check_downloadable(manifest: Manifest, *, where: str) -> None:
    """Check the names, sizes and hashes of a package's files.

    Args:
        manifest: The package's manifest.
        where: The start of every message.

    Raises:
        FormatError: There are too many or too large files, a size is below 0, a sha256 is missing,
            or names are unsafe, equal on a file system that ignores case, or reserved on Windows.
    """
    if len(manifest.files) > MAX_FILES:
        raise FormatError(f"{where}: files: found {len(manifest.files)}, allowed {MAX_FILES}")
    seen: dict[str, str] = {MANIFEST_FILE: MANIFEST_FILE}
    for entry in manifest.files:
        name = f"{where}: files: {shown(entry.path)}"
        parts = check_relative(entry.path, where=where).parts
        for part in parts:
            if _RESERVED.fullmatch(part) or part[-1] in ". " or part[0] == " ":
                raise FormatError(f"{name}: Windows cannot hold the name {shown(part)}; rename it")
        lower = entry.path.lower()
        if lower in seen:
            raise FormatError(f"{name}: the same name as {shown(seen[lower])}; rename one")
        seen[lower] = entry.path
        if not 0 <= entry.size <= MAX_FILE_BYTES:
            raise FormatError(
                f"{name}: size: found {shown(entry.size)}, allowed are 0 to {MAX_FILE_BYTES} bytes"
            )
        if not re.fullmatch(SHA256, entry.sha256):
            raise FormatError(
                f"{name}: sha256: found {shown(entry.sha256)}, expected 64 lower-case hex digits"
            )
    folders = {
        "/".join(lower.split("/")[:depth])
        for lower in seen
        for depth in range(1, lower.count("/") + 1)
    }
    both = sorted(folders & set(seen))
    if both:
        raise FormatError(f"{where}: files: {shown(both[0])} is both a file and a folder")
    total = sum(entry.size for entry in manifest.files)
    if total > MAX_PACKAGE_BYTES:
        raise FormatError(f"{where}: files: {total} bytes, allowed {MAX_PACKAGE_BYTES}")
