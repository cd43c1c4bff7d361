"""Farms: a real Ray cluster answers as this process does, and a lost worker loses no result."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from etsim.models.specs import load
from etsim.simulator import farm
from etsim.simulator.farm import farm_of, here
from etsim.simulator.sweep import Result, Run, blocks
from etsim.simulator.sweep_points import points_of
from etsim.tests.simulator.perishing import perishing
from etsim.tests.simulator.small_graphs import launched_products

RUN = Run((launched_products(),), load("h100-sxm"))
POINTS = points_of(["h100-sxm", "a100-sxm-80gb", "l4"], {}, [["", "host:2"]])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers_at(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def fuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """While it lies there, a worker that takes the second block is killed."""
    path = tmp_path / "fuse"
    path.touch()
    monkeypatch.setattr(farm, "evaluate", perishing(path, POINTS[1]))
    return path


@pytest.fixture
def dask_address() -> Iterator[str]:
    """A real scheduler with two workers, each a process of its own."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        yield str(cluster.scheduler_address).removeprefix("tcp://")


@contextmanager
def running(command: list[str], log: Path) -> Iterator[Callable[[], bool]]:
    """Run a server for the block's time; give what tells whether it lives."""
    with log.open("w") as told:
        server = subprocess.Popen(command, stdout=told, stderr=told, start_new_session=True)
    try:
        yield lambda: server.poll() is None
    finally:
        server.terminate()  # a Ray head ends its children itself, in order
        server.wait(60)


def wait_for(ready: Callable[[], bool], alive: Callable[[], bool], log: Path) -> None:
    until = time.monotonic() + 90
    while not ready():
        assert alive(), log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.2)


@pytest.fixture
def ray_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Ray cluster of two workers, and Ray's server for clients, ended with the test.

    The server is started directly: the one of `ray start` starts another for each client, which
    wants more of a machine than a container may give.
    """
    pytest.importorskip("ray")
    folder, port = tmp_path_factory.mktemp("r"), free_port()
    head = [
        str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--num-cpus=2",
        f"--port={free_port()}", "--include-dashboard=false", "--disable-usage-stats",
        f"--temp-dir={folder}",
    ]  # fmt: skip
    known = folder / "ray_current_cluster"  # written when the head is up

    def address() -> str:
        return known.read_text().strip() if known.exists() else ""

    with running(head, folder / "head.log") as head_lives:
        wait_for(lambda: address() != "", head_lives, folder / "head.log")
        clients = [
            sys.executable, "-m", "ray.util.client.server", f"--address={address()}",
            "--host=127.0.0.1", f"--port={port}", "--mode=specific-server",
        ]  # fmt: skip
        with running(clients, folder / "clients.log") as clients_live:
            wait_for(lambda: answers_at(port), clients_live, folder / "clients.log")
            yield f"127.0.0.1:{port}"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_killed_worker_of_dask_loses_no_result(fuse: Path, dask_address: str) -> None:
    """worker 1: block 0, ...     worker 2: block 1, killed; block 1 again, ..."""
    told: list[str] = []
    tasks = blocks(POINTS, 1)
    answers = list(farm_of(1, f"dask://{dask_address}", told.append)(RUN, tasks))
    assert not fuse.exists()  # a worker was really lost
    assert answers == list(here(RUN, tasks))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_killed_process_loses_no_result_and_is_told(fuse: Path) -> None:
    told: list[str] = []
    tasks = blocks(POINTS, 1)
    answers = list(farm_of(2, None, told.append)(RUN, tasks))
    assert not fuse.exists()
    assert answers == list(here(RUN, tasks))
    assert len(told) == 1
    assert "TerminatedWorkerError" in told[0]


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_ray_cluster_gives_what_this_process_gives(ray_address: str) -> None:
    told: list[str] = []
    tasks = blocks(POINTS, 1)
    answers = list(farm_of(1, f"ray://{ray_address}", told.append)(RUN, tasks))
    assert answers == list(here(RUN, tasks))
    assert told == []  # the cluster did it, not the rescue


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_killed_worker_of_ray_loses_no_result(fuse: Path, ray_address: str) -> None:
    tasks = blocks(POINTS, 1)
    answers = list(farm_of(1, f"ray://{ray_address}")(RUN, tasks))
    assert not fuse.exists()
    assert answers == list(here(RUN, tasks))


def test_a_fault_of_our_own_is_not_taken_for_a_lost_worker() -> None:
    def failing() -> Iterator[list[Result]]:
        yield from ()
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        list(farm._with_rescue(failing(), RUN, blocks(POINTS, 1), print))
