"""Load what `--et` names: .et files, Kineto traces, folders and patterns, one rank or many."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from ..converters.chakra import is_chakra, read_graph
from ..converters.files import FileKind, kind_of, read_bytes
from ..converters.ranks import expand
from ..converters.recording import Recording
from ..models.errors import NeedsRecordingError, RankError
from ..models.graph import ExecutionGraph
from ..models.merge import merge_ranks

salvage_option = click.option(
    "--salvage", is_flag=True, help="Of a trace that is cut, read what stands before the cut."
)


def load_graphs(specs: Sequence[str], *, salvage: bool = False) -> list[ExecutionGraph]:
    """Give the graph of every rank named, in order of ranks; errors as `load_recordings`."""
    return [recording.graph for recording in load_recordings(specs, salvage=salvage)]


def notes_of(graphs: Sequence[ExecutionGraph]) -> list[str]:
    """Give what the readers noted, with the rank where there are several."""
    several = len(graphs) > 1
    return [
        f"rank {graph.meta.rank}: {told}" if several else told
        for graph in graphs
        for told in graph.meta.notes
    ]


def load_recordings(specs: Sequence[str], *, salvage: bool = False) -> list[Recording]:
    """Give every rank named, in order of ranks, with what its reader knows beside the graph.

    Args:
        specs: paths, folders or patterns of `.et` files, Kineto traces, Nsight Systems exports
            and Ascend profiler folders.
        salvage: read what stands before the cut of a Kineto trace that is cut.

    Raises:
        InputError: missing, damaged or of another kind.
        RankError: two files of one rank.
    """
    found: dict[int, Path] = {}
    recordings = []
    for path, recording in _loaded(specs, salvage=salvage):
        rank = recording.graph.meta.rank
        if rank in found:
            raise RankError(
                f"is of rank {rank}, as is {found[rank]}",
                where=path,
                remedy="give one file a rank; put `rank<N>` into the names of traces",
            )
        found[rank] = path
        recordings.append(recording)
    return sorted(recordings, key=lambda recording: recording.graph.meta.rank)


def load_graph(specs: Sequence[str]) -> ExecutionGraph:
    """Give one graph of all ranks named, collectives as rendezvous; errors as `load_graphs`."""
    return merge_ranks(load_graphs(specs))


def need_times(graph: ExecutionGraph, what: str) -> None:
    """Refuse a graph that was never timed.

    Raises:
        NeedsRecordingError: converted from an execution trace alone.
    """
    if not graph.meta.has_times:
        raise NeedsRecordingError(
            f"{what} needs times, and an execution trace alone has none",
            remedy="convert it again with its Kineto trace: etsim convert --et ... --trace ...",
        )


def _loaded(specs: Sequence[str], *, salvage: bool) -> Iterator[tuple[Path, Recording]]:
    """Load what the specs name; some files hold many ranks."""
    for path in named_paths(specs, "--et"):
        yield from ((path, recording) for recording in _load(path, salvage=salvage))


def named_paths(specs: Sequence[str], option: str) -> list[Path]:
    """Expand specs given with an option; a folder of Ascend's profiler stands for its trace."""
    found: dict[Path, None] = {}
    for spec in specs:
        for path in _ascend_traces(Path(spec)) or expand([spec], option):
            found.update(dict.fromkeys(_ascend_traces(path) or [path]))
    return list(found)


def _ascend_traces(folder: Path) -> list[Path]:
    """Give the traces of a folder that Ascend's profiler wrote, none of any other path."""
    if not folder.is_dir():
        return []
    from ..converters.ascend.folders import find_runs  # noqa: PLC0415  # only for folders

    return [run.trace_view for run in find_runs(folder)]


def _load(path: Path, *, salvage: bool) -> list[Recording]:
    kind = kind_of(path)
    if kind is not FileKind.KINETO and is_chakra(read_bytes(path)[:65536]):
        return [Recording(read_graph(path))]
    from . import trace_readers  # noqa: PLC0415  # costs a third of a prediction from an .et

    if kind is FileKind.KINETO:
        return trace_readers.read_kineto_trace(path, salvage=salvage)
    return trace_readers.read_other(path)
