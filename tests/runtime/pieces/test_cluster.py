"""The same labels from any number of workers, and when one is killed."""

import os
import signal

import numpy as np
import pytest
import tifffile

from samzoo.runtime.errors import ImageError, InputError, StorageError
from samzoo.runtime.large.large_image import segment_large
from samzoo.runtime.pieces import cluster as cluster_module
from samzoo.runtime.pieces.cluster import connected, local

distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.filterwarnings("ignore")  # of Dask, on a machine that is shared


@pytest.fixture(scope="module")
def image(cells):
    return cells((400, 500))


def segment(make_request, image, output, executor, **fields):
    request = make_request(image, output=output, executor=executor, **fields)
    segment_large(request)
    return tifffile.imread(request.output)


@pytest.mark.parametrize("workers", [1, 2, pytest.param(4, marks=pytest.mark.slow)])
def test_any_number_of_workers_gives_the_same_labels(workers, image, make_request, whole):
    with local(workers) as cluster:
        found = segment(make_request, image, "labels.tif", cluster)
    np.testing.assert_array_equal(found, whole(image))


def test_the_client_is_not_the_processs_default():
    """ome-zarr, for one, would ask it to do its own work, also after it was closed."""
    with local(1) as cluster:
        with pytest.raises(ValueError, match="No clients found"):
            distributed.default_client()
        with connected(cluster._client.scheduler.address), pytest.raises(ValueError, match="found"):
            distributed.default_client()


@pytest.mark.slow
def test_a_killed_worker_changes_nothing(image, make_request, whole):
    """A worker is killed while the first step runs; Dask's nanny starts another."""
    with local(2) as cluster:
        killer = Killer(cluster)
        found = segment(make_request, image, "labels.tif", killer)
    assert killer.killed
    np.testing.assert_array_equal(found, whole(image))


class Killer:
    """Kills a worker's process after its first piece."""

    def __init__(self, cluster):
        self._cluster, self.killed = cluster, []

    def run(self, context, step, pieces, done):
        def report():
            if not self.killed:
                client = self._cluster._client
                workers = client.run(_pid)
                address, process = next(iter(workers.items()))
                self.killed.append(address)
                os.kill(process, signal.SIGKILL)
            done()

        self._cluster.run(context, step, pieces, report)


def _pid():
    return os.getpid()


def test_a_cluster_that_is_there_is_used(image, make_request, whole):
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=None
        ) as there,
        connected(there.scheduler_address) as cluster,
    ):
        found = segment(make_request, image, "labels.tif", cluster)
    np.testing.assert_array_equal(found, whole(image))


def test_an_error_in_a_worker_is_the_error_of_the_run(image, make_request):
    broken = image.astype(np.float32)
    request = make_request(broken)
    with local(1) as cluster, pytest.raises(ImageError, match="NaN"):
        segment_large(make_request(broken, executor=Spoiler(cluster, request.source.path)))


class Spoiler:
    """Puts a value that is none into the image once it was looked at."""

    def __init__(self, cluster, path):
        self._cluster, self._path = cluster, path

    def run(self, context, step, pieces, done):
        mapped = tifffile.memmap(self._path)
        mapped[200, 200] = np.nan
        mapped.flush()
        self._cluster.run(context, step, pieces, done)


def test_no_scheduler_is_an_error(monkeypatch):
    monkeypatch.setattr(cluster_module, "TIMEOUT", 0.5)
    with (
        pytest.raises(StorageError, match="no Dask scheduler answers there"),
        connected("tcp://127.0.0.1:9"),
    ):
        pass


def test_an_address_that_is_none_is_an_error():
    with pytest.raises((InputError, StorageError), match="--scheduler"), connected("nonsense"):
        pass


def test_no_workers_is_an_error():
    with pytest.raises(InputError, match="expected at least 1"), local(0):
        pass
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as there:
        with pytest.raises(InputError, match="has no workers"), connected(there.scheduler_address):
            pass
