"""Work shared by a Dask cluster: one that exists, or one of processes on this machine.

In: pieces of a step. Out: their files in the work folder, which all workers must see under the
same path. If a worker is lost, Dask does its pieces again. The module needs the extra ``large``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from samzoo.runtime.dependencies import require
from samzoo.runtime.errors import InputError, SamzooError, StorageError, shown

from .context import Context
from .steps import do_piece

TIMEOUT = 10
"""Seconds to wait for a scheduler (own choice)."""

ATTEMPTS = 10
"""Workers that a piece may lose before the run gives up (own choice)."""


class Cluster:
    """Does pieces on a Dask cluster; see ``steps.Executor``.

    Args:
        client: A client of ``dask.distributed``.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def run(
        self, context: Context, step: str, pieces: Sequence[int], done: Callable[[], None]
    ) -> None:
        """See ``Executor``.

        Raises:
            SamzooError: As the step's function; the first error of any worker.
            StorageError: Too many workers were lost.
        """
        distributed = require("distributed", extra="large")
        futures = [
            self._client.submit(do_piece, context.job, step, index, pure=False) for index in pieces
        ]
        try:
            for future in distributed.as_completed(futures, loop=self._client.loop):
                future.result()
                done()
        except distributed.KilledWorker as error:
            raise StorageError(
                f"{step}: {ATTEMPTS} workers were lost at the same piece ({error}); do they have "
                "enough memory? Run the command again to continue"
            ) from error
        except SamzooError:
            raise
        except (OSError, distributed.CancelledError) as error:
            raise StorageError(
                f"the cluster was lost ({error}); run the command again to continue"
            ) from error
        finally:
            self._client.cancel(futures)


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """Connect to a scheduler.

    Args:
        address: ``tcp://HOST:PORT``.

    Raises:
        MissingDependencyError: dask.distributed is not installed.
        StorageError: There is no scheduler.
        InputError: The cluster has no workers, or the address is not one.
    """
    distributed = require("distributed", extra="large")
    try:
        client = distributed.Client(address, timeout=TIMEOUT, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise StorageError(
            f"--scheduler: {shown(address)}: no Dask scheduler answers there; start one with: "
            "dask scheduler"
        ) from error
    except (ValueError, TypeError) as error:
        raise InputError(
            f"--scheduler: found {shown(address)}, expected tcp://HOST:PORT ({error})"
        ) from error
    with client:
        if not client.scheduler_info()["workers"]:
            raise InputError(
                f"--scheduler: {shown(address)}: has no workers; start some with: dask worker "
                f"{address}"
            )
        yield Cluster(client)


@contextmanager
def local(workers: int) -> Iterator[Cluster]:
    """Start worker processes on this machine.

    Args:
        workers: Number of processes.

    Raises:
        InputError: ``workers`` is below 1.
        MissingDependencyError: dask.distributed is not installed.
    """
    if workers < 1:
        raise InputError(f"--workers: found {workers}, expected at least 1")
    distributed = require("distributed", extra="large")
    import dask

    settings = {
        "distributed.scheduler.allowed-failures": ATTEMPTS,
        "distributed.worker.daemon": True,
    }
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address=None,
            silence_logs=50,
        ) as cluster,
        # Not the process's default client, which all other code that uses dask would take.
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield Cluster(client)
