"""Draw a run in a few calls and get the files a profiler would have written.

    host    |------ aten::mm ------|   |cudaDeviceSynchronize|
               |launch|
    stream            |-------- sgemm --------|

    run = Recording()
    run.op("aten::mm", 0, 30)
    run.kernel("sgemm", 20, 120, by=run.launch(10, 15))
    run.sync("cudaDeviceSynchronize", 40, 125)
    seen = run.linked()
    assert seen.edges(EdgeKind.SYNC) == {("sgemm", "cudaDeviceSynchronize")}

All times are microseconds. Names should be unique where a test looks rows up by name.
"""

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etsim.converters.execution_trace import ExecutionTrace, read_execution_trace
from etsim.converters.kineto import KinetoTrace, read_kineto
from etsim.converters.link.linker import Linked, link
from etsim.models.graph import EdgeKind, ExecutionGraph

Json = dict[str, Any]
Micros = int | float
PID = 100
MAIN = 1
WORKER = 2
LATEST_SCHEMA = "1.1.1-chakra.0.0.4"
FLAT_SCHEMA = "1.0.1"
USER_SCOPE = 7


@dataclass(slots=True)
class Seen:
    """A linked graph that answers by names."""

    linked: Linked

    @property
    def graph(self) -> ExecutionGraph:
        return self.linked.graph

    def row(self, name: str, nth: int = 0) -> int:
        """Give the n-th row of that name."""
        rows = [row for row in range(len(self.graph)) if self.graph.name_of(row) == name]
        return rows[nth]

    def order(self) -> list[str]:
        """Give the names of all rows but the origin, in row order."""
        return [self.graph.name_of(row) for row in range(1, len(self.graph))]

    def edges(self, kind: EdgeKind) -> set[tuple[str, str]]:
        """Give (source, target) names of all edges of a kind."""
        graph = self.graph
        return {
            (graph.name_of(source), graph.name_of(row))
            for row in range(len(graph))
            for source, found, _ in graph.predecessors(row)
            if found is kind
        }

    def lag_us(self, source: str, target: str) -> float:
        """Give the lag of the one edge between two names."""
        graph = self.graph
        (lag,) = [
            lag
            for before, _, lag in graph.predecessors(self.row(target))
            if graph.name_of(before) == source
        ]
        return lag / 1000

    def start_us(self, name: str, nth: int = 0) -> float:
        return float(self.graph.nodes.start_ns[self.row(name, nth)]) / 1000

    def duration_us(self, name: str, nth: int = 0) -> float:
        return float(self.graph.nodes.duration_ns[self.row(name, nth)]) / 1000


@dataclass(slots=True)
class Recording:
    """A run of one process: events are added one by one, files are written at the end."""

    pid: int = PID
    rank: int | None = None
    world_size: int = 1
    device: str = "NVIDIA A100-SXM4-80GB"
    base_ns: int = 1_700_000_000_000_000_000
    offset_us: int = 0
    top: Json = field(default_factory=dict)
    events: list[Json] = field(default_factory=list)
    _correlation: int = 0
    _recorded: int = 0

    # host

    def op(
        self, name: str, start: Micros, end: Micros, *, thread: int = MAIN,
        shapes: list[Any] | None = None, types: list[str] | None = None, said: Json | None = None,
    ) -> int:  # fmt: skip
        """Add an operator that says more of itself by `said`; gives its record function id."""
        given = {} if shapes is None else {"Input Dims": shapes, "Input type": types or []}
        return self._function("cpu_op", name, start, end, thread, {**given, **(said or {})})

    def mark(
        self, name: str, start: Micros, end: Micros, *, thread: int = MAIN,
        said: Json | None = None,
    ) -> int:  # fmt: skip
        """Add a `record_function` range; gives its record function id."""
        return self._function("user_annotation", name, start, end, thread, said or {})

    def _function(
        self, cat: str, name: str, start: Micros, end: Micros, thread: int, args: Json
    ) -> int:
        self._recorded += 1
        own = {"External id": self._recorded, "Record function id": self._recorded}
        self.event(cat, name, start, end, self.pid, thread, **{**own, **args})
        return self._recorded

    def call(self, name: str, start: Micros, end: Micros, *, thread: int = MAIN) -> int:
        """Add a runtime call; gives its correlation."""
        self._correlation += 1
        self.event(
            "cuda_runtime", name, start, end, self.pid, thread, correlation=self._correlation
        )
        return self._correlation

    def launch(
        self, start: Micros, end: Micros, *, thread: int = MAIN, name: str = "cudaLaunchKernel"
    ) -> int:
        """Add a launch call; gives its correlation."""
        return self.call(name, start, end, thread=thread)

    def sync(
        self, name: str, start: Micros, end: Micros, *, thread: int = MAIN, **record: Any
    ) -> int:
        """Add a waiting call; with keywords also the `cuda_sync` event that tells its target."""
        correlation = self.call(name, start, end, thread=thread)
        if record:
            told = {"correlation": correlation, **record}
            self.event("cuda_sync", "told", start, end, 0, 7, **told)
        return correlation

    # device

    def kernel(
        self, name: str, start: Micros, end: Micros, *, by: int = 0, stream: int = 7,
        device: int = 0, cat: str = "kernel", said: Json | None = None,
    ) -> None:  # fmt: skip
        """Add a device event launched by the call with correlation `by` (0: not in the file)."""
        own = {"device": device, "stream": stream, "correlation": by or 900_000 + len(self.events)}
        self.event(cat, name, start, end, device, stream, **{**own, **(said or {})})

    def event(
        self, cat: str, name: str, start: Micros, end: Micros, pid: int | str, tid: int | str,
        **args: Any,
    ) -> None:  # fmt: skip
        """Add any complete event."""
        begin = round(start + self.offset_us, 3)
        took = round(end - start, 3)
        self.events.append(
            {"ph": "X", "cat": cat, "name": name, "pid": pid, "tid": tid, "ts": begin,
             "dur": took, "args": args}
        )  # fmt: skip

    # files

    def kineto(self) -> Json:
        """Give the Kineto document."""
        document: Json = {"schemaVersion": 1, "baseTimeNanoseconds": self.base_ns}
        if any(event["cat"] in ("kernel", "gpu_memcpy", "gpu_memset") for event in self.events):
            document["deviceProperties"] = [
                {"id": 0, "name": self.device, "totalGlobalMem": 80 * 2**30}
            ]
        if self.rank is not None:
            document["distributedInfo"] = {
                "backend": "gloo", "rank": self.rank, "world_size": self.world_size
            }  # fmt: skip
        return {**document, **self.top, "traceEvents": self.events}

    def execution_trace(self, *, schema: str = LATEST_SCHEMA) -> Json:
        """Give the execution trace of the same run: operators and marks in order of start."""
        functions = [e for e in self.events if e["cat"] in ("cpu_op", "user_annotation")]
        functions.sort(key=lambda event: (event["ts"], -event["dur"]))
        flat = schema == FLAT_SCHEMA
        frame = "execution_graph" if flat else "execution_trace"
        nodes = [_node(1, 1, f"[pytorch|profiler|{frame}|process]", {}, 0, flat=flat)]
        thread_ids: dict[int, int] = {}
        for event in functions:
            tid = event["tid"]
            if tid not in thread_ids:
                thread_ids[tid] = len(thread_ids) + 2
                name = f"[pytorch|profiler|{frame}|thread]"
                nodes.append(_node(thread_ids[tid], 1, name, {}, 0, flat=flat))
        open_of_thread: dict[int, list[tuple[float, int]]] = {}
        for number, event in enumerate(functions):
            stack = open_of_thread.setdefault(event["tid"], [])
            while stack and stack[-1][0] <= event["ts"]:
                stack.pop()
            node = 100 + number
            parent = stack[-1][1] if stack else thread_ids[event["tid"]]
            tid = thread_ids[event["tid"]] - 1
            scope = USER_SCOPE if event["cat"] == "user_annotation" else 0
            made = _node(node, parent, event["name"], event["args"], tid, flat=flat, scope=scope)
            nodes.append(made)
            stack.append((event["ts"] + event["dur"], node))
        return {"schema": schema, "pid": self.pid, "time": "", "start_ts": 1, "nodes": nodes,
                "finish_ts": 2}  # fmt: skip

    def write(self, folder: Path, name: str = "run") -> tuple[Path, Path]:
        """Write the pair; gives the paths of execution trace and Kineto trace."""
        et, trace = folder / f"{name}.et.json", folder / f"{name}.trace.json"
        write_json(et, self.execution_trace())
        write_json(trace, self.kineto())
        return et, trace

    def trace(self) -> KinetoTrace:
        """Read the Kineto document back through etsim's reader."""
        return read_kineto(Path("made.trace.json"), json.dumps(self.kineto()).encode())

    def et(self, *, schema: str = LATEST_SCHEMA) -> ExecutionTrace:
        """Read the execution trace back through etsim's reader."""
        data = json.dumps(self.execution_trace(schema=schema)).encode()
        return read_execution_trace(Path("made.et.json"), data)

    def linked(self) -> Seen:
        """Link the Kineto trace alone."""
        return Seen(link(self.trace()))

    def graph(self) -> ExecutionGraph:
        return self.linked().graph


def _node(
    number: int, parent: int, name: str, args: Json, tid: int, *, flat: bool, scope: int = 0
) -> Json:
    facts = {
        "rf_id": args.get("Record function id", 0), "fw_parent": args.get("fw_parent", 0),
        "seq_id": args.get("Sequence number", -1), "scope": scope, "tid": tid, "fw_tid": 0,
        "op_schema": args.get("schema", ""),
    }  # fmt: skip
    shapes, types = args.get("Input Dims", []), args.get("Input type", [])
    if flat:
        return {
            "name": name, "id": number, "parent": parent, **facts, "inputs": [],
            "input_shapes": shapes, "input_types": types, "outputs": [],
            "output_shapes": [[2, 2]], "output_types": ["Tensor(float)"],
        }  # fmt: skip
    return {
        "id": number, "name": name, "ctrl_deps": parent,
        "inputs": {"values": [], "shapes": shapes, "types": types, "strides": []},
        "outputs": {"values": [], "shapes": [[2, 2]], "types": ["Tensor(float)"], "strides": []},
        "attrs": [{"name": key, "type": "uint64", "value": value} for key, value in facts.items()],
    }  # fmt: skip


def write_json(path: Path, document: Json) -> Path:
    """Write a document, gzipped where the name says so."""
    data = json.dumps(document).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path
