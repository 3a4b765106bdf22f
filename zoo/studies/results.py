"""What the runs of a study found, each by itself and over seeds.

In: the folders of finished runs. Out: a ``RunResult`` for each, and a ``Row`` for each row of
the tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from samzoo.runtime.errors import FormatError
from samzoo.runtime.formats.adapter import ADAPTER_CONFIG_FILE, read_adapter_config
from samzoo.runtime.formats.files import read_json
from samzoo.zoo.recipes.steps import REPORT, RUN

from .making import COST, is_done
from .plan import ALL, PlannedRun


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """A finished run.

    Attributes:
        run: The run.
        scores: The metric of its data by task.
        seconds: Seconds a training step; None for a base.
        peak_bytes: The most memory that the training process held; None for a base, or where the
            system does not say.
    """

    run: PlannedRun
    scores: dict[str, float]
    seconds: float | None = None
    peak_bytes: int | None = None


@dataclass(frozen=True)
class Spread:
    """A number over seeds.

    Attributes:
        mean: The mean.
        low: The smallest.
        high: The largest.
    """

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise at least one number."""
        return cls(fmean(values), min(values), max(values))


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a table: one method on the same base, data and number of images.

    Attributes:
        base: The base's name.
        data: The data's name.
        images: Number of training images, or ``all``.
        name: The row's name.
        metric: What the scores are.
        done: Runs that are finished.
        planned: Runs that there will be.
        scores: By task.
        seconds: Seconds a training step.
        peak_bytes: Memory.
    """

    base: str
    data: str
    images: str
    name: str
    metric: str
    done: int
    planned: int
    scores: dict[str, Spread]
    seconds: Spread | None
    peak_bytes: Spread | None

    @property
    def block(self) -> tuple[str, str, str]:
        """What rows that are compared have in common."""
        return self.base, self.data, self.images


def read_result(run: PlannedRun) -> RunResult | None:
    """Read what a run found; None if it is not finished.

    Raises:
        FormatError: A file is damaged.
    """
    if not is_done(run):
        return None
    path = run.folder / REPORT
    mean = read_json(path).get("mean")
    if not isinstance(mean, Mapping):
        raise FormatError(f"{path}: mean: expected scores by task; not a report of samzoo evaluate")
    tasks = [task for task in run.data.tasks if task in mean]
    scores = {task: float(mean[task][run.data.metric]) for task in tasks}
    if run.method is None:
        return RunResult(run=run, scores=scores)
    training = read_adapter_config(run.folder / RUN / ADAPTER_CONFIG_FILE).source.get(
        "training", {}
    )
    peak = _peak(run.folder / COST)
    return RunResult(
        run=run, scores=scores, seconds=training.get("seconds_a_step"), peak_bytes=peak or None
    )


def _peak(path: Path) -> int:
    return int(read_json(path).get("peak_bytes", 0)) if path.is_file() else 0


def table_rows(runs: Sequence[PlannedRun], results: Sequence[RunResult]) -> list[Row]:
    """Summarise runs over seeds.

    Args:
        runs: All runs of a study, in order.
        results: Those that are finished.

    Returns:
        A row for each base, data, number of images and method, in the study's order. A base that is
        scored without finetuning has a row in each block of its data, the first.
    """
    planned: dict[tuple[str, str, str, str], list[PlannedRun]] = {}
    numbers: dict[tuple[str, str], dict[str, None]] = {}
    for run in runs:
        if run.method is not None:
            numbers.setdefault((run.base, run.data.name), {})[f"{run.number or ALL}"] = None
    for run in runs:
        found = numbers.get((run.base, run.data.name), {ALL: None})
        for images in found if run.method is None else [f"{run.number or ALL}"]:
            planned.setdefault((run.base, run.data.name, images, run.row), []).append(run)
    order = {block: i for i, block in enumerate(dict.fromkeys(key[:3] for key in planned))}
    rows = []
    for (base, data, images, name), each in planned.items():
        done = [result for result in results if result.run in each]
        tasks = [t for t in each[0].data.tasks if any(t in result.scores for result in done)]
        by_task = {task: [r.scores[task] for r in done if task in r.scores] for task in tasks}
        rows.append(
            Row(
                base=base, data=data, images=images, name=name, metric=each[0].data.metric,
                done=len(done), planned=len(each),
                scores={task: Spread.of(values) for task, values in by_task.items()},
                seconds=_spread([result.seconds for result in done]),
                peak_bytes=_spread([result.peak_bytes for result in done]),
            )
        )  # fmt: skip
    return sorted(rows, key=lambda row: order[row.block])


def _spread(values: Sequence[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    return Spread.of(known) if known else None
