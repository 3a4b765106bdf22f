"""Models tried on one image: what each finds, how long it takes, and why it doubts the result.

In: package folders and the image. Out: a ``Trial`` for each model. Packages over one encoder open
it once. Nothing here says which model is best: without annotations nobody knows.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samzoo.runtime.batch.verdicts import failure
from samzoo.runtime.engine.object_scale import Diameter, ObjectScale
from samzoo.runtime.engine.providers import CPU, check_provider
from samzoo.runtime.engine.shared_encoder import OpenEncoders
from samzoo.runtime.formats.arrays import Array, Labels2D, Progress
from samzoo.runtime.formats.manifest import MASK_DECODER, Manifest
from samzoo.runtime.loading import load
from samzoo.runtime.model import Model
from samzoo.zoo.hub.references import pull_encoder

PROMPTS_ONLY = "answers prompts only: click on an object, or draw a box around it"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What one model did with the image.

    Attributes:
        model: What ``--model`` takes.
        adapter: What ``--adapter`` takes, in a package with several.
        labels: ``(height, width)`` int32; None if the model segments nothing automatically, or
            failed.
        scale: The scale that was used, if there are labels.
        notes: Why the model doubts the labels.
        seconds: How long it took, with opening the model.
        error: Why it failed; empty if it did not.
        status: The failure's exit code; 0 if it did not fail.
    """

    model: str
    adapter: str | None = None
    labels: Labels2D | None = None
    scale: ObjectScale | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    error: str = ""
    status: int = 0

    @property
    def name(self) -> str:
        """Name the model for people."""
        return self.model if self.adapter is None else f"{self.model} --adapter {self.adapter}"

    @property
    def objects(self) -> int | None:
        """Number of objects found; None without labels."""
        return None if self.labels is None else int(self.labels.max(initial=0))

    def line(self) -> str:
        """Say in a few words what came out."""
        if self.error:
            return f"failed: {self.error}"
        if self.labels is None or self.scale is None:
            return PROMPTS_ONLY
        count = "1 object" if self.objects == 1 else f"{self.objects} objects"
        known = self.scale.diameter is not None
        scale = self.scale.line() if known else f"the model's own scale {self.scale.scale:.2g}"
        return f"{count}, {scale}, {self.seconds:.1f} s"

    def facts(self) -> dict[str, Any]:
        """Return the values that are known, as JSON reads them."""
        return {
            "model": self.model, "adapter": self.adapter, "objects": self.objects,
            **({} if self.scale is None else self.scale.facts()),
            "notes": list(self.notes), "seconds": round(self.seconds, 2),
            "error": self.error or None,
        }  # fmt: skip


def is_candidate(manifest: Manifest) -> bool:
    """Tell whether a package holds a model, and not an encoder alone for others."""
    return bool(manifest.adapters) or manifest.graph(MASK_DECODER) is not None


def try_models(
    packages: Mapping[str, Path],
    image: Array,
    *,
    diameter: Diameter = None,
    threads: int | None = None,
    provider: str = CPU,
    progress: Progress | None = None,
) -> Iterator[Trial]:
    """Segment an image with each model of several packages; one that fails stops no other.

    Args:
        packages: Package folders by the reference to pass as ``--model``.
        image: As in ``Model.segment``.
        diameter: As in ``Model.segment``, for each model.
        threads: As in ``samzoo.runtime.load``.
        provider: As in ``samzoo.runtime.load``.
        progress: As in ``Model.segment``.

    Yields:
        A trial for each model, and each adapter of a package with several, in their order.

    Raises:
        InputError: There is no such provider.
    """
    check_provider(provider)
    encoders = OpenEncoders()
    for reference, folder in packages.items():
        start = time.perf_counter()
        try:
            base = pull_encoder(folder, progress=progress)
            model = load(folder, base=base, threads=threads, provider=provider, encoders=encoders)
        except Exception as error:
            yield _failed(Trial(model=reference), error)
            continue
        several = len(model.adapters) > 1  # one alone is the package's model, and needs no choice
        for adapter in model.adapters if several else (None,):
            if adapter is not None:
                model.use(adapter)
            trial = Trial(model=reference, adapter=adapter)
            try:
                trial = _tried(trial, model, image, diameter, progress)
            except Exception as error:
                trial = _failed(trial, error)
            yield dataclasses.replace(trial, seconds=time.perf_counter() - start)
            start = time.perf_counter()


def _tried(
    trial: Trial, model: Model, image: Array, diameter: Diameter, progress: Progress | None
) -> Trial:
    if model.config.architecture.ais_decoder is None:
        return trial
    scale = model.object_scale(image, diameter or "own", progress=progress)
    notes = [scale.doubt] if scale.doubt else []
    labels = model.for_objects(scale.changed).segment(image, progress=progress, notes=notes)
    return dataclasses.replace(trial, labels=labels, scale=scale, notes=tuple(notes))


def _failed(trial: Trial, error: Exception) -> Trial:
    verdict = failure(Path(trial.model), trial.model, error)
    return dataclasses.replace(trial, error=verdict.message, status=verdict.status)
