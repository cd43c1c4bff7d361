"""Read what Nsight Compute exports as CSV: duration and memory traffic of every kernel.

ncu --csv --metrics gpu__time_duration.sum,dram__bytes.sum ...     one row a metric
ncu --csv --page raw ...                                           one row a kernel, units below

Kernels have names here and no shapes, so only those that stream memory tell something: the share
of the bandwidth that they reach.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..models.costs.kernel_rules import default_rules
from ..models.costs.measured_kernel import MeasuredKernel
from ..models.costs.work_values import WorkClass
from ..models.errors import InputError, TraceFormatError
from ..models.graph import Operator
from .files import read_bytes

TIME, TRAFFIC = "gpu__time_duration.sum", "dram__bytes.sum"
PARTS = ("dram__bytes_read.sum", "dram__bytes_write.sum")
STREAMING = {
    WorkClass.ELEMENTWISE, WorkClass.COPY, WorkClass.OPTIMISER, WorkClass.NORMALISATION,
    WorkClass.REDUCTION,
}  # fmt: skip
_UNITS = {
    "ns": 1.0, "nsecond": 1.0, "us": 1e3, "usecond": 1e3, "ms": 1e6, "msecond": 1e6,
    "s": 1e9, "second": 1e9, "byte": 1.0, "kbyte": 1e3, "mbyte": 1e6, "gbyte": 1e9,
    "b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9,
}  # fmt: skip
_Kernel = tuple[str, Mapping[str, float]]


def read_ncu(path: Path) -> list[MeasuredKernel]:
    """Read the kernels that stream memory, each as a copy of the bytes that it moved.

    Raises:
        InputError: the file is missing or not text.
        TraceFormatError: it has no kernels, or lacks duration or memory traffic.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("is not text", where=path, remedy="export with ncu --csv") from error
    lines = [line for line in text.splitlines() if line.startswith('"')]
    rows = list(csv.DictReader(lines))
    if not rows or "Kernel Name" not in rows[0]:
        raise TraceFormatError("holds no kernels of Nsight Compute", where=path,
                               remedy="export with ncu --csv")  # fmt: skip
    read = _long(rows) if "Metric Name" in rows[0] else _wide(rows)
    kernels = [kernel for name, metrics in read if (kernel := _measured(name, metrics))]
    if not kernels:
        raise TraceFormatError(
            "no kernel that streams memory has duration and traffic", where=path,
            remedy=f"record --metrics {TIME},{TRAFFIC}",
        )  # fmt: skip
    return kernels


def _long(rows: list[dict[str, str]]) -> Iterator[_Kernel]:
    kernels: dict[str, tuple[str, dict[str, float]]] = {}
    for row in rows:
        _, metrics = kernels.setdefault(row.get("ID", ""), (row["Kernel Name"], {}))
        value = _value(row.get("Metric Value", ""), row.get("Metric Unit", ""))
        if value is not None:
            metrics[row["Metric Name"]] = value
    yield from kernels.values()


def _wide(rows: list[dict[str, str]]) -> Iterator[_Kernel]:
    units, *kernels = rows
    for row in kernels:
        values = {
            key: value
            for key in (TIME, TRAFFIC, *PARTS)
            if (value := _value(row.get(key) or "", units.get(key) or "")) is not None
        }
        yield row["Kernel Name"], values


def _value(text: str, unit: str) -> float | None:
    scale = _UNITS.get(unit.strip().lower())
    try:
        return float(text.replace(",", "")) * scale if scale else None
    except ValueError:
        return None


def _measured(name: str, metrics: Mapping[str, float]) -> MeasuredKernel | None:
    moved = metrics.get(TRAFFIC) or sum(metrics.get(part, 0.0) for part in PARTS)
    time = metrics.get(TIME, 0.0)
    if default_rules().work_class(name) not in STREAMING or moved <= 0 or time <= 0:
        return None
    half = (max(1, round(moved / 2)),)
    copy = Operator("aten::copy_", input_shapes=(half, half), input_types=("int8", "int8"))
    return MeasuredKernel(copy, time)
