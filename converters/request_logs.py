"""Reads request logs: Azure's CSV in both spellings and Mooncake's JSONL; .gz as they are.

TIMESTAMP,ContextTokens,GeneratedTokens          2023-11-16 18:15:46.6805900,374,44
arrived_at,num_prefill_tokens,num_decode_tokens  0.0,374,44
{"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]}
"""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np

from ..models.errors import InputError
from ..models.serving.workload import Workload
from .files import read_bytes

MOONCAKE_BLOCK_TOKENS = 512  # the trace's own block, told in its release notes
_SPELLINGS = (
    ("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
    ("arrived_at", "num_prefill_tokens", "num_decode_tokens"),
)
_REMEDY = "expected an Azure CSV (TIMESTAMP or arrived_at, ...) or Mooncake's JSONL"

_Row = tuple[float, int, int, tuple[int, ...]]  # seconds, prompt, output, prefix blocks


class _MooncakeLine(msgspec.Struct):
    timestamp: float  # ms
    input_length: int
    output_length: int
    hash_ids: tuple[int, ...] = ()


def read(path: Path) -> Workload:
    """Read a log, sorted by time; rows without tokens on a side are dropped and counted.

    Raises:
        InputError: no such file, another kind of file, or a damaged row (its line is told).
    """
    text = _text(path)
    head = text.lstrip("\ufeff \r\n")[:1]
    rows = list(_jsonl_rows(text, path) if head == "{" else _csv_rows(text, path))
    kept = [row for row in rows if row[1] > 0 and row[2] > 0]
    if not kept:
        raise InputError("no request with tokens on both sides", where=path)
    kept.sort(key=lambda row: row[0])
    return _workload(kept, dropped=len(rows) - len(kept), origin=path.name)


def _text(path: Path) -> str:
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("is not text", where=path, remedy=_REMEDY) from error


def _csv_rows(text: str, path: Path) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(text))
    header = [name.strip().lstrip("\ufeff") for name in next(reader, [])]
    columns = _columns(header, path)
    for row in reader:
        if not row:
            continue
        try:
            when, prompt, output = (row[i] for i in columns)
            yield _seconds(when), int(float(prompt)), int(float(output)), ()
        except (ValueError, IndexError) as error:
            raise InputError(f"line {reader.line_num}: {error}", where=path) from error


def _columns(header: list[str], path: Path) -> list[int]:
    place = {name.lower(): i for i, name in enumerate(header)}
    for names in _SPELLINGS:
        if all(name.lower() in place for name in names):
            return [place[name.lower()] for name in names]
    shown = ", ".join(header)[:80]
    raise InputError(f"unknown columns: {shown}", where=path, remedy=_REMEDY)


def _seconds(told: str) -> float:
    try:
        return float(told)
    except ValueError:
        pass
    # Azure prints seven decimals; datetime takes six.
    whole, _dot, fraction = told.strip().partition(".")
    digits = "".join(c for c in fraction if c.isdigit())
    moment = datetime.fromisoformat(whole.replace("Z", "+00:00"))
    epoch = datetime(2000, 1, 1, tzinfo=moment.tzinfo)  # only differences matter
    return (moment - epoch).total_seconds() + float(f"0.{digits or 0}")


def _jsonl_rows(text: str, path: Path) -> Iterator[_Row]:
    decoder = msgspec.json.Decoder(_MooncakeLine)
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            told = decoder.decode(line)
        except msgspec.MsgspecError as error:
            raise InputError(f"line {number}: {error}", where=path, remedy=_REMEDY) from error
        yield told.timestamp / 1e3, told.input_length, told.output_length, told.hash_ids


def _workload(rows: Iterable[_Row], *, dropped: int, origin: str) -> Workload:
    seconds, prompts, outputs, prefixes = zip(*rows, strict=True)
    arrival = np.rint((np.array(seconds) - seconds[0]) * 1e9).astype(np.int64)
    return Workload(
        arrival_ns=arrival,
        prompt_tokens=np.array(prompts, dtype=np.int64),
        output_tokens=np.array(outputs, dtype=np.int64),
        prefix_blocks=prefixes if any(prefixes) else (),
        prefix_block_tokens=MOONCAKE_BLOCK_TOKENS,
        dropped=dropped,
        origin=origin,
    ).checked(origin)
