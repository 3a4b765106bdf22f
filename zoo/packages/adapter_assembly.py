"""Assembly of a package of a few megabytes: adapters alone, over the encoder of another package.

In: adapter folders, their base, and a package with a shared encoder. Out: a package of factors and
decoders that names the other package. ``samzoo.runtime.engine.shared_encoder`` opens it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.manifest import (
    ENCODER,
    MASK_DECODER,
    EncoderSource,
    Manifest,
    read_entry,
)
from samzoo.zoo.merging.merged_weights import DEFAULT_QLORA_BASE, QloraBase

from .adapter_files import files_of_adapters, shared_decoder
from .assembly import package_name, software_versions
from .package_folder import write_package
from .shareable import read_configs
from .shared_assembly import check_fits, prepared, unmerged


def export_adapters(
    adapters: Mapping[str, Path],
    output: Path,
    *,
    over: Path,
    reference: str = "",
    base: Path | None = None,
    qlora_base: QloraBase = DEFAULT_QLORA_BASE,
    name: str | None = None,
    segments: str = "",
    force: bool = False,
) -> Manifest:
    """Write a package of adapters alone.

    Args:
        adapters: Adapter folders by the names that ``Model.use`` takes; the first is the default.
        output: The package folder to write.
        over: A package with a shared encoder of the adapters' base.
        reference: The reference by which others pull ``over``. The default is its name, which
            works if one index has both packages.
        base: The base of all adapters; by default the folder where the first one's base lay while
            training.
        qlora_base: As in ``export_shared``.
        name: The package's name; by default made from the output folder's name.
        segments: What the models segment, in a few words.
        force: Replace an existing ``output``.

    Returns:
        The manifest. Precision and preprocessing are those of ``over``.

    Raises:
        InputError: ``over`` has no shared encoder.
        SamzooError: As for ``export_shared``.
    """
    encoder = Manifest.read(over)
    file = encoder.graph(ENCODER)
    if not encoder.adapters or file is None:
        raise InputError(
            f"{over}: has no encoder that takes adapters; make one with samzoo share "
            "ADAPTER... -o PACKAGE"
        )
    configs = read_configs(adapters)
    check_fits(over, encoder, adapters, configs, qlora_base)
    folder = prepared(adapters, configs, output, base, over, force=force)
    manifest = dataclasses.replace(
        encoder,
        name=name or package_name(output),
        segments=segments,
        files=(),
        metrics={},
        card={},
        pictures=(),
        datasets=(),
        software=software_versions(),
        adapters=unmerged(configs),
        load_proofs=(),
        encoder_from=EncoderSource(
            name=encoder.name, reference=reference or encoder.name, sha256=file.sha256
        ),
    )
    graph, decoder = read_entry(over, file), shared_decoder(over, encoder, folder)
    entries, content = files_of_adapters(adapters, manifest, folder, qlora_base, graph, decoder)
    source = manifest.encoder_from
    if decoder is not None and decoder.used and source is not None:
        shared = encoder.graph(MASK_DECODER)
        assert shared is not None
        source = dataclasses.replace(source, mask_decoder_sha256=shared.sha256)
    manifest = dataclasses.replace(manifest, adapters=entries, encoder_from=source)
    return write_package(output, manifest, content, force=force)
