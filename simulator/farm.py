"""Where a sweep's blocks run: in this process, in several, or on an existing Dask or Ray cluster.

joblib runs them all: its backends are processes, Dask and Ray. A block whose worker is lost is run
again here, so no result is lost with it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from ..models.errors import AnalysisError, MissingToolError, UsageError
from .sweep import Result, Run, evaluate
from .sweep_points import Point

CLUSTERS = ("dask", "ray")


class Farm(Protocol):
    """Evaluates blocks and gives their results as they are done, in order of blocks."""

    def __call__(self, run: Run, tasks: Sequence[Sequence[Point]]) -> Iterator[list[Result]]:
        """Evaluate the tasks."""


def here(run: Run, tasks: Sequence[Sequence[Point]]) -> Iterator[list[Result]]:
    """Evaluate in this process."""
    for task in tasks:
        yield evaluate(run, task)


def farm_of(jobs: int, cluster: str | None) -> Farm:
    """Give the farm asked for.

    Args:
        jobs: processes on this machine, 1 for none beside this one.
        cluster: `dask://host:port` or `ray://host:port` of a cluster that is there, or None.

    Raises:
        UsageError: a cluster of another kind.
        MissingToolError: the extra `cluster` is not installed.
    """
    if cluster is None and jobs == 1:
        return here
    if cluster is not None:
        kind, separator, address = cluster.partition("://")
        if kind not in CLUSTERS or not separator or not address:
            raise UsageError(
                f"--cluster {cluster!r} is no cluster", remedy="dask://host:port or ray://host:port"
            )
        return _Joblib(jobs, kind, address)
    return _Joblib(jobs, "loky", "")


class _Joblib:
    """joblib with one of its backends."""

    def __init__(self, jobs: int, backend: str, address: str) -> None:
        self._jobs = jobs
        self._backend = backend
        self._address = address
        self._joblib = _imported("joblib")

    def __call__(self, run: Run, tasks: Sequence[Sequence[Point]]) -> Iterator[list[Result]]:
        with self._connected():
            parallel = self._joblib.Parallel(
                n_jobs=self._jobs if self._backend == "loky" else -1, return_as="generator"
            )
            delayed: Callable[..., object] = self._joblib.delayed(evaluate)
            yield from _with_rescue(parallel(delayed(run, task) for task in tasks), run, tasks)

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """Connect to the cluster for the block's time; what it needs is imported only then."""
        if self._backend == "loky":
            yield
        elif self._backend == "dask":
            with (
                _dask_client(self._address) as client,
                self._joblib.parallel_config(backend="dask", client=client),
            ):
                yield
        else:
            _ray_connected(self._address)
            with self._joblib.parallel_config(backend="ray"):
                yield


def _with_rescue(
    done: Iterator[list[Result]], run: Run, tasks: Sequence[Sequence[Point]]
) -> Iterator[list[Result]]:
    """Give results in order; when the farm breaks down, the rest is evaluated here."""
    finished = 0
    try:
        for results in done:
            finished += 1
            yield results
    except (OSError, RuntimeError, EOFError):  # a lost worker or scheduler, as its library says
        for task in tasks[finished:]:
            yield evaluate(run, task)


def _imported(name: str):  # type: ignore[no-untyped-def]  # an optional library has no types here
    import importlib  # noqa: PLC0415  # only where a farm is asked for

    try:
        return importlib.import_module(name)
    except ImportError:
        raise MissingToolError(
            f"--jobs and --cluster need {name}", remedy="pip install 'etsim[cluster]'"
        ) from None


def _dask_client(address: str) -> AbstractContextManager[object]:
    distributed = _imported("distributed")
    try:
        client: AbstractContextManager[object] = distributed.Client(
            f"tcp://{address}", timeout="10s", set_as_default=False
        )
    except OSError as error:
        raise AnalysisError(
            f"no Dask scheduler answers at {address}: {error}", remedy="is it running?"
        ) from None
    return client


def _ray_connected(address: str) -> None:
    ray = _imported("ray")
    _imported("ray.util.joblib").register_ray()
    ray.init(address=f"ray://{address}", ignore_reinit_error=True)
