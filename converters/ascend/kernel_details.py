"""Read `kernel_details.csv`: which device tasks are kernels, by name and start."""

import csv
from decimal import Decimal, InvalidOperation
from pathlib import Path

from ...models.errors import TraceFormatError
from ..files import read_bytes

NAME, START, CORE = "Name", "Start Time(us)", "Accelerator Core"
COLLECTIVE_PREFIX = "hcom"
COLLECTIVE_CORE = "HCCL"


def read_kernels(path: Path) -> frozenset[tuple[str, int]]:
    """Give (name, start in absolute ns) of every kernel; collectives are left out.

    Columns are found by their names: their order and number differ between versions.

    Raises:
        TraceFormatError: a column is missing or a start is no number.
    """
    lines = read_bytes(path).decode(errors="replace").splitlines(keepends=True)
    rows = csv.DictReader(lines)
    missing = {NAME, START} - set(rows.fieldnames or ())
    if missing:
        raise TraceFormatError(f"has no column {', '.join(sorted(missing))}", where=path)
    return frozenset(
        (row[NAME], _start_ns(row[START], path))
        for row in rows
        if row.get(CORE) != COLLECTIVE_CORE and not row[NAME].startswith(COLLECTIVE_PREFIX)
    )


def _start_ns(text: str, path: Path) -> int:
    try:
        return round(Decimal(text.strip()) * 1000)  # the profiler leaves a tab behind it
    except InvalidOperation:
        raise TraceFormatError(f"start {text!r} is no number", where=path) from None
