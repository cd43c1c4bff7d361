"""Read tables of measured kernels and messages: CSV of operators, nccl-tests logs, traces.

name,dtype,shapes,us                     name,dtype,m,n,k,us (products y = x Wᵀ or x W)
aten::mm,bf16,4096x1024 1024x4096,61.2   aten::mm,bf16,4096,4096,1024,61.2

Shapes may also stand as profilers print them: "[[4096, 1024], [1024, 4096]]".
"""

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..models.costs.collectives import canonical_kind
from ..models.costs.measured_kernel import MeasuredKernel, MeasuredMessage
from ..models.costs.tensors import dtype_of
from ..models.errors import InputError, TraceFormatError
from ..models.graph import NONE, Category, ExecutionGraph, Operator
from .files import read_bytes

_TIMES = {"us": 1e3, "ms": 1e6, "ns": 1.0, "s": 1e9}
_LISTED = re.compile(r"[\[(]\s*(\d+(?:\s*,\s*\d+)*)\s*,?\s*[\])]")
_NCCL_ROW = re.compile(r"^\s*(\d+)\s+(\d+)\s+(\w+)\s+(\S+)\s+(-?\d+)\s+([\d.]+)\s")
_NCCL_NAME = re.compile(r"#\s*(?:Collective test starting:|nccl-tests.*?)?\s*(\w+)_perf")


def read_measured_kernels(path: Path) -> list[MeasuredKernel]:
    """Read a CSV of measured operators.

    Raises:
        InputError: the file is missing or not text.
        TraceFormatError: a column or unit is missing, or a row holds something else.
    """
    lines = _text(path).splitlines()
    rows = csv.DictReader(lines)
    unit = next((unit for unit in _TIMES if unit in (rows.fieldnames or [])), None)
    if unit is None:
        raise TraceFormatError(
            "has no column that tells a time with its unit", where=path,
            remedy="name the column us, ms, ns or s",
        )  # fmt: skip
    columns = set(rows.fieldnames or [])
    if "dtype" not in columns or not ("shapes" in columns or {"m", "n", "k"} <= columns):
        missing = "dtype" if "dtype" not in columns else "shapes (or m, n and k)"
        raise TraceFormatError(
            f"has no column {missing}", where=path,
            remedy="the columns are name, dtype, shapes, us or name, dtype, m, n, k, us",
        )  # fmt: skip
    kernels = [_kernel(row, unit, f"{path}:{number}") for number, row in enumerate(rows, start=2)]
    if not kernels:
        raise TraceFormatError("holds no measured kernel", where=path, remedy="add a row for each")
    return kernels


def _text(path: Path) -> str:
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("is not text", where=path, remedy="give a CSV or a log") from error


def _kernel(row: Mapping[str, str], unit: str, where: str) -> MeasuredKernel:
    dtype = dtype_of((row["dtype"] or "").strip())
    if not dtype:
        raise TraceFormatError(f"unknown dtype {row['dtype']!r}", where=where)
    shapes = _shapes(row, where)
    time = _number(row[unit], unit, where) * _TIMES[unit]
    name = (row.get("name") or "aten::mm").strip()
    operator = Operator(
        name if "::" in name else f"aten::{name}", input_shapes=shapes,
        input_types=(dtype,) * len(shapes),
    )  # fmt: skip
    return MeasuredKernel(operator, time, where)


def _shapes(row: Mapping[str, str], where: str) -> tuple[tuple[int, ...], ...]:
    if row.get("shapes"):
        if listed := _LISTED.findall(row["shapes"]):
            return tuple(tuple(int(size) for size in one.split(",")) for one in listed)
        try:
            return tuple(
                tuple(int(size) for size in part.split("x")) for part in row["shapes"].split()
            )
        except ValueError as error:
            raise TraceFormatError(
                f"shapes {row['shapes']!r} are not like 8x16 16x32", where=where
            ) from error
    m, n, k = (int(_number(row.get(key), key, where)) for key in ("m", "n", "k"))
    return ((m, k), (k, n))


def _number(text: str | None, column: str, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError as error:
        raise TraceFormatError(f"{column} {text!r} is no number", where=where) from error
    if not 0 < value < float("inf"):
        raise TraceFormatError(f"{column} {text!r} is not above 0", where=where)
    return value


def read_nccl_log(path: Path) -> list[MeasuredMessage]:
    """Read the output of nccl-tests (`all_reduce_perf` ...): out-of-place times.

    Raises:
        TraceFormatError: no line of the log is a measurement, or it names no collective.
    """
    text = _text(path)
    named = _NCCL_NAME.search(text) or re.search(r"(\w+)_perf", path.name)
    messages = [
        MeasuredMessage("", 0, int(found[1]), float(found[6]) * 1e3)
        for line in text.splitlines()
        if (found := _NCCL_ROW.match(line)) and float(found[6]) > 0 and int(found[1]) > 0
    ]
    ranks = len(re.findall(r"^#\s+Rank\s+\d+", text, re.MULTILINE))
    if not messages or named is None or ranks < 2:
        lacks = "measurements" if not messages else "the test's name" if named is None else "ranks"
        raise TraceFormatError(
            f"holds no {lacks} of nccl-tests", where=path,
            remedy="give the whole output of e.g. all_reduce_perf, its head included",
        )  # fmt: skip
    kind = canonical_kind(named[1])
    return [MeasuredMessage(kind, ranks, one.message_bytes, one.duration_ns) for one in messages]


def kernels_of_graph(graph: ExecutionGraph) -> list[MeasuredKernel]:
    """Give the operators of a recording with the time of all kernels that one call launched."""
    nodes = graph.nodes
    times: dict[tuple[int, int], int] = {}
    for row in _kernel_rows(graph):
        key = (int(nodes.operator[row]), int(nodes.parent[row]))
        times[key] = times.get(key, 0) + int(nodes.duration_ns[row])
    return [
        MeasuredKernel(graph.operators[operator], float(time))
        for (operator, _), time in times.items()
        if time > 0 and graph.operators[operator].input_shapes
    ]


def _kernel_rows(graph: ExecutionGraph) -> Iterator[int]:
    for row, category in enumerate(graph.nodes.category.tolist()):
        if category == Category.KERNEL and graph.nodes.operator[row] != NONE:
            yield row
