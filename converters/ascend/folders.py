"""Find the runs in what a user names: one rank's profiler folder, or a folder of them.

run/                                   rank0_ascend_pt/
  rank0_ascend_pt/                       profiler_info_0.json
  rank1_ascend_pt/                       ASCEND_PROFILER_OUTPUT/trace_view.json
"""

import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ...models.errors import InputError, NeedsRecordingError, TraceFormatError
from ...models.graph import NONE
from ..files import read_bytes
from ..ranks import rank_in_name

OUTPUT = "ASCEND_PROFILER_OUTPUT"
TRACE_VIEW = "trace_view.json"
KERNEL_DETAILS = "kernel_details.csv"
_INFO = re.compile(r"profiler_info(?:_(\d+))?\.json$")


class _Info(msgspec.Struct):
    rank_id: int = NONE


@dataclass(frozen=True, slots=True)
class AscendRun:
    """One rank's files; `kernel_details` only where it is there."""

    folder: Path
    trace_view: Path
    kernel_details: Path | None
    rank: int


def find_runs(path: Path) -> list[AscendRun]:
    """Give the runs in a folder (or around a trace_view.json), by rank; none where it holds none.

    Raises:
        NeedsRecordingError: raw data that was never analysed, or no text output.
        TraceFormatError: a damaged profiler_info.
    """
    if path.is_file():
        return [_run_of(path)]
    if not path.is_dir():
        return []
    own = _view_in(path)
    if own is not None:
        return [_run_of(own)]
    inside = sorted(child for child in path.iterdir() if child.is_dir())
    views = [view for child in inside if (view := _view_in(child)) is not None]
    return sorted((_run_of(view) for view in views), key=lambda run: (run.rank, str(run.folder)))


def _view_in(folder: Path) -> Path | None:
    for place in (folder / OUTPUT, folder):
        if (place / TRACE_VIEW).is_file():
            return place / TRACE_VIEW
    if (folder / OUTPUT).is_dir():
        raise NeedsRecordingError(
            f"{OUTPUT} holds no {TRACE_VIEW}",
            where=folder,
            remedy="export text: torch_npu.profiler._ExperimentalConfig(export_type=Text)",
        )
    if any(folder.glob("PROF_*")):
        raise NeedsRecordingError(
            f"holds raw data but no {OUTPUT}",
            where=folder,
            remedy="run torch_npu.profiler.profiler.analyse() on it",
        )
    return None


def _run_of(view: Path) -> AscendRun:
    folder = view.parent.parent if view.parent.name == OUTPUT else view.parent
    details = view.with_name(KERNEL_DETAILS)
    return AscendRun(folder, view, details if details.is_file() else None, _rank_of(folder))


def _rank_of(folder: Path) -> int:
    """The profiler's own word, else its file's name, else the folder's."""
    for info in sorted(folder.glob("profiler_info*.json")):
        try:
            told = msgspec.json.decode(read_bytes(info), type=_Info).rank_id
        except msgspec.DecodeError as error:
            raise TraceFormatError(f"is damaged: {error}", where=info) from None
        except InputError:
            continue
        match = _INFO.search(info.name)
        if told != NONE:
            return told
        if match and match[1]:
            return int(match[1])
    return rank_in_name(folder)
