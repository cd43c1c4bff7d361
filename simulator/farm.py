"""Where a sweep's blocks run: in this process, in several, or on an existing Dask or Ray cluster.

joblib runs them in processes and on Dask. Ray gets its tasks directly: its backend for joblib hands
over no result before the last one is done (ray 2.60), and a sweep keeps each as it comes. Both
clusters run the block of a lost worker on another one; what a farm that broke down leaves undone
is evaluated here, and said.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from ..models.errors import AnalysisError, MissingToolError, UsageError
from .sweep import Result, Run, evaluate
from .sweep_points import Point

CLUSTERS = ("dask", "ray")
LOSSES = {"OSError", "EOFError", "BrokenExecutor", "CancelledError", "KilledWorker", "RayError"}


Tell = Callable[[str], None]


class Farm(Protocol):
    """Evaluates blocks and gives their results as they are done, in order of blocks."""

    def __call__(self, run: Run, tasks: Sequence[Sequence[Point]]) -> Iterator[list[Result]]:
        """Evaluate the tasks."""


def here(run: Run, tasks: Sequence[Sequence[Point]]) -> Iterator[list[Result]]:
    """Evaluate in this process."""
    for task in tasks:
        yield evaluate(run, task)


def _unheard(_: str) -> None:
    """Nobody listens."""


def farm_of(jobs: int, cluster: str | None, tell: Tell = _unheard) -> Farm:
    """Give the farm asked for.

    Args:
        jobs: processes on this machine, 1 for none beside this one.
        cluster: `dask://host:port` or `ray://host:port` of a cluster that is there, or None.
        tell: hears a sentence when the farm breaks down and the rest is evaluated here.

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
        return _Ray(address, tell) if kind == "ray" else _Joblib(jobs, address, tell)
    return _Joblib(jobs, "", tell)


class _Joblib:
    """joblib: processes of this machine, or a Dask cluster where an address is given."""

    def __init__(self, jobs: int, dask_address: str, tell: Tell) -> None:
        self._jobs = -1 if dask_address else jobs
        self._address = dask_address
        self._tell = tell
        self._joblib = _imported("joblib")

    def __call__(self, run: Run, tasks: Sequence[Sequence[Point]]) -> Iterator[list[Result]]:
        with self._backend():
            parallel = self._joblib.Parallel(n_jobs=self._jobs, return_as="generator")
            delayed: Callable[..., object] = self._joblib.delayed(evaluate)
            done = parallel(delayed(run, task) for task in tasks)
            yield from _with_rescue(done, run, tasks, self._tell)

    @contextmanager
    def _backend(self) -> Iterator[None]:
        """Set joblib's backend for the block's time; a cluster is connected only then."""
        if not self._address:
            with self._joblib.parallel_config(backend="loky"):
                yield
            return
        with (
            _dask_client(self._address) as client,
            self._joblib.parallel_config(backend="dask", client=client),
        ):
            yield


class _Ray:
    """A Ray cluster: one task a block, the run put into its object store once."""

    def __init__(self, address: str, tell: Tell) -> None:
        self._address = address
        self._tell = tell
        self._ray = _imported("ray", extra="ray")

    def __call__(self, run: Run, tasks: Sequence[Sequence[Point]]) -> Iterator[list[Result]]:
        with self._connected():
            shared = self._ray.put(run)
            remote = self._ray.remote(evaluate)
            pending = [remote.remote(shared, task) for task in tasks]
            done = (self._ray.get(reference) for reference in pending)
            yield from _with_rescue(done, run, tasks, self._tell)

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """Connect for the block's time; who is connected already stays so."""
        if self._ray.is_initialized():
            yield
            return
        try:
            self._ray.init(address=f"ray://{self._address}", log_to_driver=False)
        except (OSError, RuntimeError) as error:
            raise AnalysisError(
                f"no Ray cluster answers at {self._address}: {error}", remedy="is it running?"
            ) from None
        try:
            yield
        finally:
            self._ray.shutdown()


def _with_rescue(
    done: Iterator[list[Result]], run: Run, tasks: Sequence[Sequence[Point]], tell: Tell
) -> Iterator[list[Result]]:
    """Give results in order; when the farm breaks down, the rest is evaluated here."""
    finished = 0
    try:
        for results in done:
            finished += 1
            yield results
    except Exception as fault:
        if not _is_loss(fault):
            raise
        left = len(tasks) - finished
        tell(f"the farm broke down ({type(fault).__name__}): {left} blocks are evaluated here")
        for task in tasks[finished:]:
            yield evaluate(run, task)


def _is_loss(fault: Exception) -> bool:
    """Tell a lost worker or scheduler from a fault of our own, which would come again here.

    By name: joblib raises BrokenProcessPool's children (RuntimeError), Dask KilledWorker and
    OSErrors of its own, Ray children of RayError, of which RayTaskError is the task's own fault.
    """
    names = {kind.__name__ for kind in type(fault).__mro__}
    if "RayTaskError" in names:
        return False
    return bool(names & LOSSES)


def _imported(name: str, extra: str = "cluster"):  # type: ignore[no-untyped-def]  # an optional library has no types here
    import importlib  # noqa: PLC0415  # only where a farm is asked for

    try:
        return importlib.import_module(name)
    except ImportError:
        raise MissingToolError(
            f"--jobs and --cluster need {name}", remedy=f"pip install 'etsim[{extra}]'"
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
