"""Writes what a cluster simulation leaves: a CSV of its requests, a timeline for Perfetto."""

import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ..models.serving.outcome import NEVER, ClusterRun, EngineSlice, RequestTimes
from .atomic import write_atomically

REQUEST_HEADER = (
    "request", "arrival_s", "prompt_tokens", "output_tokens", "start_s", "first_token_s",
    "kv_ready_s", "finish_s", "ttft_ms", "tpot_ms", "e2e_ms", "preemptions", "prefix_tokens",
    "replica",
)  # fmt: skip


def write_requests(path: Path, times: RequestTimes, replicas: tuple[str, ...]) -> None:
    """Write one line a request; what never happened is left empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(REQUEST_HEADER)
    columns = [getattr(times, name).tolist() for name in times.__slots__]
    for number, row in enumerate(zip(*columns, strict=True)):
        writer.writerow(_request_row(number, row, replicas))
    content = text.getvalue().encode()
    write_atomically(path, _zipped(content) if path.suffix == ".gz" else content)


def _request_row(number: int, row: tuple[int, ...], replicas: tuple[str, ...]) -> list[object]:
    arrival, prompt, output, start, first, kv, finish, lost, prefix, replica = row

    def seconds(when: int) -> object:
        return "" if when == NEVER else f"{when / 1e9:.9f}"

    served = finish != NEVER
    gaps = output - 1
    return [
        number, seconds(arrival), prompt, output, seconds(start), seconds(first), seconds(kv),
        seconds(finish),
        f"{(first - arrival) / 1e6:.6f}" if served else "",
        f"{(finish - first) / gaps / 1e6:.6f}" if served and gaps else "",
        f"{(finish - arrival) / 1e6:.6f}" if served else "",
        lost, prefix, replicas[replica] if replica != NEVER else "",
    ]  # fmt: skip


def write_timeline(path: Path, run: ClusterRun) -> None:
    """Write engines as threads, their work as slices, queue, batch and KV as counters."""
    events = [*_names(run)]
    for one in run.slices:
        events.append(_slice(one))
        events.extend(_counters(one, run.engines[one.engine].name))
    content = msgspec.json.encode({"traceEvents": events, "displayTimeUnit": "ms"})
    write_atomically(path, _zipped(content) if path.suffix == ".gz" else content)


def _zipped(content: bytes) -> bytes:
    return gzip.compress(content, compresslevel=5, mtime=0)  # no clock: same run, same bytes


def _names(run: ClusterRun) -> Iterator[dict[str, object]]:
    yield _meta("process_name", 0, "serving cluster (simulated)")
    for tid, engine in enumerate(run.engines):
        yield _meta("thread_name", tid, f"{engine.name} ({engine.devices} devices)")


def _meta(kind: str, tid: int, name: str) -> dict[str, object]:
    return {"ph": "M", "name": kind, "pid": 1, "tid": tid, "args": {"name": name}}


def _slice(one: EngineSlice) -> dict[str, object]:
    steps = f" x{one.steps}" if one.steps > 1 else ""
    return {
        "ph": "X",
        "name": f"{one.kind}{steps}",
        "cat": one.kind,
        "pid": 1,
        "tid": one.engine,
        "ts": one.start_ns / 1e3,
        "dur": (one.end_ns - one.start_ns) / 1e3,
        "args": {
            "steps": one.steps,
            "prefill tokens": one.prefill_tokens,
            "decode batch": one.batch,
            "KV tokens": one.kv_tokens,
            "waiting": one.waiting,
        },
    }


def _counters(one: EngineSlice, name: str) -> Iterator[dict[str, object]]:
    for what, value in (
        ("waiting", one.waiting),
        ("batch", one.batch),
        ("KV tokens", one.kv_tokens),
    ):
        args = {what: value}
        yield {
            "ph": "C",
            "name": f"{name} {what}",
            "pid": 1,
            "ts": one.start_ns / 1e3,
            "args": args,
        }
