"""Make a large Kineto file out of a real one: its events again and again, later, with new ids.

    python benchmarks/big_trace.py TRACE [--megabytes 500] -o big.json

The text layout of the original is kept, so that a reader meets what a profiler writes.
"""

import argparse
import gzip
import re
from collections.abc import Iterator
from pathlib import Path

GZIP_MAGIC = b"\x1f\x8b"
_SHIFTED = re.compile(
    r'"(ts|correlation|External id|Record function id|Sequence number|Ev Idx|id)":\s*(\d+)(\.\d+)?'
)
_DURATION = re.compile(r'"dur":\s*(\d+)')
_BEGIN = re.compile(r'"traceEvents":\s*\[')
_END = re.compile(r"\}\s*\](?=\s*(?:\}|,\s*\"))")
GAP_US = 1000


def read_text(path: Path) -> str:
    """Give the text of a trace, plain or gzipped."""
    data = path.read_bytes()
    return (gzip.decompress(data) if data.startswith(GZIP_MAGIC) else data).decode()


def repeated(text: str, megabytes: float) -> Iterator[str]:
    """Give the pieces of a document whose events are those of `text`, repeated."""
    found = _BEGIN.search(text)
    if found is None:
        raise SystemExit("no traceEvents in the file")
    begin = found.end()
    end = _END.search(text, begin).end() - 1  # type: ignore[union-attr]
    head, events, tail = text[:begin], text[begin:end], text[end:]
    pieces, numbers = _template(events)
    step: dict[str, int] = {}
    for key, number in numbers:
        step[key] = max(step.get(key, 0), number + 1)
    times = [number for key, number in numbers if key == "ts" and number > 0]
    longest_us = max(int(duration) for duration in _DURATION.findall(events))
    step["ts"] = max(times) - min(times) + (longest_us + GAP_US) * 1000
    copies = max(1, round(megabytes * 1e6 / len(events)))
    yield head
    for copy in range(copies):
        yield "," if copy else ""
        yield _filled(pieces, numbers, {key: copy * by for key, by in step.items()})
    yield tail


def _template(events: str) -> tuple[list[str], list[tuple[str, int]]]:
    """Cut the text at the numbers to shift: (key, number), times in thousandths."""
    pieces: list[str] = []
    numbers: list[tuple[str, int]] = []
    place = 0
    for found in _SHIFTED.finditer(events):
        key, whole, fraction = found.groups()
        pieces.append(events[place : found.start(2)])
        place = found.end()
        digits = ((fraction or ".")[1:] + "000")[:3]
        numbers.append((key, int(whole) * 1000 + int(digits) if key == "ts" else int(whole)))
    pieces.append(events[place:])
    return pieces, numbers


def _filled(pieces: list[str], numbers: list[tuple[str, int]], shift: dict[str, int]) -> str:
    parts: list[str] = []
    for piece, (key, number) in zip(pieces, numbers, strict=False):
        moved = number + shift[key]
        parts.append(piece)
        parts.append(f"{moved // 1000}.{moved % 1000:03d}" if key == "ts" else str(moved))
    parts.append(pieces[-1])
    return "".join(parts)


def write_repeated(source: Path, target: Path, megabytes: float) -> None:
    """Write the repeated trace beside its place in one go."""
    with target.open("w", encoding="utf-8") as out:
        for piece in repeated(read_text(source), megabytes):
            out.write(piece)


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trace", type=Path)
    parser.add_argument("--megabytes", type=float, default=500)
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    write_repeated(asked.trace, asked.output, asked.megabytes)


if __name__ == "__main__":
    main()
