"""``samzoo embed``: compute image embeddings once, to prompt them later."""

from __future__ import annotations

from argparse import ArgumentParser
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.outputs import check_output
from samzoo.zoo.cli.options import (
    add_diameter,
    add_model,
    add_output,
    add_plane,
    add_store,
    chosen_plane,
)
from samzoo.zoo.cli.progress import progress_bar
from samzoo.zoo.cli.verb import Result, Verb


@dataclass(frozen=True, kw_only=True)
class EmbedOptions:
    """The image, the model, and where the embeddings go."""

    image: Path
    store: Path | None
    level: int | None
    series: int | None
    channel: str | None
    plane: int | None
    diameter: float | Literal["auto", "own"] | None
    model: str | None
    adapter: str | None
    threads: int | None
    provider: str
    output: Path | None
    force: bool


def add_options(parser: ArgumentParser) -> None:
    """Add the image, the outputs and the model."""
    parser.add_argument("image", type=Path, metavar="IMAGE", help="image file")
    add_output(parser, "file of embeddings to write (.safetensors)", required=False)
    add_store(parser)
    add_plane(parser)
    add_model(parser)
    add_diameter(parser)


def run(options: EmbedOptions) -> Result:
    """Compute image embeddings, into a file or a store."""
    if options.store is None:
        return _to_file(options)
    if options.output is not None:
        raise InputError("give either -o or --store, not both")
    if options.force:
        raise InputError("--force replaces a file; a store keeps its embeddings; omit --force")
    return _to_store(options, options.store)


def _to_file(options: EmbedOptions) -> Result:
    from samzoo.runtime.windows.opening import open_source
    from samzoo.zoo.cli.model_loading import load_model, source_spec, told

    output = options.output
    if output is None:
        raise InputError("give -o FILE.safetensors, or --store DIR")
    if output.suffix != ".safetensors":
        raise InputError(f"{output}: the name of an embeddings file must end in .safetensors")
    check_output(output, force=options.force, inputs=[options.image])
    spec = source_spec(options.image, **chosen_plane(options))
    with closing(open_source(spec)) as source:
        image, notes = source.whole(), source.notes
    model = load_model(options)
    with progress_bar() as progress:
        scale = model.object_scale(image, options.diameter, progress=progress)
        embeddings = model.embed(image, diameter=scale.changed, progress=progress)
    embeddings.save(output)
    result: Result = {"text": str(output), "embeddings": str(output)}
    result["tiles"] = len(embeddings.tiles)
    result.update(told(scale, notes))
    return {**result, "notes": notes} if notes else result


def _to_store(options: EmbedOptions, folder: Path) -> Result:
    """Encode every tile that the store lacks; the next call resumes an interrupted one."""
    from samzoo.runtime.large.embedding_store import EmbeddingStore
    from samzoo.runtime.windows.opening import open_source
    from samzoo.zoo.cli.model_loading import for_image, load_model, source_spec, told

    model = load_model(options)
    spec = source_spec(options.image, **chosen_plane(options))
    encoded: list[int] = []
    with closing(open_source(spec)) as source:
        notes = source.notes
    with progress_bar() as progress:
        model, scale = for_image(model, spec, options.diameter, progress=progress)
    store = EmbeddingStore(folder)
    embeddings = store.embed(model, spec, encoded=encoded.append)
    notes = [*notes, *store.notes]
    with progress_bar() as progress:
        for index, _ in enumerate(embeddings.values):
            progress("embed", index + 1, len(embeddings.tiles))
    result: Result = {"text": str(folder), "store": str(folder)}
    result.update(tiles=len(embeddings.tiles), tiles_encoded=len(encoded))
    result.update(told(scale, notes))
    return {**result, "notes": notes} if notes else result


VERB = Verb(
    purpose="compute image embeddings once, to prompt them later",
    example="samzoo embed examples/nuclei.tif -o nuclei.safetensors",
    options=EmbedOptions,
    add_options=add_options,
    run=run,
)
