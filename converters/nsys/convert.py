"""From an Nsight Systems export to one execution graph a process."""

from dataclasses import replace
from pathlib import Path

from ...models.errors import NeedsRecordingError
from ..link.linker import link
from ..recording import Recording, overhead_of
from .database import Database, number, open_database
from .trace import ProcessTables, sort_tables, to_trace


def convert_nsys(path: Path) -> list[Recording]:
    """Read and link every process of an export.

    The file does not say which process is which rank: they are numbered by their devices.

    Raises:
        TraceFormatError: damaged, or a sqlite file of another kind.
        NeedsRecordingError: it holds no call, range or kernel.
    """
    with open_database(path) as database:
        processes = sort_tables(database)
        if not processes:
            raise NeedsRecordingError(
                "holds no runtime call, NVTX range or kernel",
                where=path,
                remedy="record with nsys profile --trace=cuda,nvtx",
            )
        base = _session_start_ns(database)
        order = sorted(processes, key=lambda p: (sorted(processes[p].devices) or [-1], p))
        return [
            _recording(database, processes[process], rank, len(order), base)
            for rank, process in enumerate(order)
        ]


def _session_start_ns(database: Database) -> int:
    rows = list(database.rows("TARGET_INFO_SESSION_START_TIME", ("utcEpochNs",)))
    return number(rows[0][0]) if rows else 0


def _recording(
    database: Database, tables: ProcessTables, rank: int, processes: int, base_ns: int
) -> Recording:
    trace = to_trace(database, tables, rank=rank, clock_base_ns=base_ns)
    graph = link(trace).graph
    notes = list(graph.meta.notes)
    if tables.graph_replays:
        notes.append(
            f"{tables.graph_replays:,} CUDA graph replays are recorded as a whole, their kernels "
            "are not: record with --cuda-graph-trace=node"
        )
    if tables.skipped:
        notes.append(f"{tables.skipped:,} NVTX marks and unfinished ranges are left out")
    meta = replace(graph.meta, world_size=processes, notes=tuple(notes))
    return Recording(replace(graph, meta=meta), overhead_of(trace.overhead))
