"""Downloads by reference, wherever the package is published.

In: ``hf:ORG/NAME[@REVISION]``, ``bioimageio:NICKNAME-or-ZIP`` or a name in an index. Out: its
folder.
"""

from __future__ import annotations

from pathlib import Path

from samzoo.runtime.formats.arrays import Progress
from samzoo.zoo.packages.encoder_package import bring_encoder

from .bioimageio_pull import pull_from_bioimageio
from .bioimageio_source import BIOIMAGEIO_PREFIX
from .huggingface_hub import HUB_PREFIX, pull_from_hub
from .model_index import pull_from_index


def pull(reference: str, *, progress: Progress | None = None) -> Path:
    """Download a package into the cache, at the state that its branch or index has now.

    Args:
        reference: ``hf:ORG/NAME[@REVISION]``, ``bioimageio:NICKNAME-or-ZIP``, or a name in an
            index of ``SAMZOO_INDEX``.
        progress: As in ``pull_package``.

    Returns:
        The package's folder in the cache.

    Raises:
        SamzooError: As for ``pull_from_hub``, ``pull_from_bioimageio`` and ``pull_from_index``.
    """
    if reference.startswith(HUB_PREFIX):
        return pull_from_hub(reference, progress=progress)
    if reference.startswith(BIOIMAGEIO_PREFIX):
        return pull_from_bioimageio(reference, progress=progress)
    return pull_from_index(reference, progress=progress)


def pull_encoder(folder: Path, *, progress: Progress | None = None) -> Path | None:
    """Find the package with a package's encoder, or pull it.

    Args:
        folder: A package.
        progress: As in ``pull_package``.

    Returns:
        The other package's folder; None if the package has an encoder of its own.

    Raises:
        WrongBaseError: The package that the manifest refers to has another encoder.
        SamzooError: As for ``pull``.
    """
    return bring_encoder(folder, pull=lambda reference: pull(reference, progress=progress))
