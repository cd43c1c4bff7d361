"""The records of Chrome's trace format that etsim writes, and how they become a file.

Format: Trace Event Format, https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

import gzip
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

import msgspec

from ..models.graph import NONE, Category, ExecutionGraph
from .atomic import atomic_path

_BATCH = 4096
_GZIP_LEVEL = 5


class SliceArgs(msgspec.Struct, omit_defaults=True, gc=False):
    """What is known of a slice beyond its time; what is not known is left out."""

    row: int
    category: str
    provenance: str = msgspec.field(name="duration is", default="")
    own_us: float = -1.0
    step: str = ""
    phase: str = ""
    module: str = ""
    flops: int = 0
    bytes: int = 0
    collective: str = ""
    message_bytes: int = 0
    group: str = ""

    @classmethod
    def of(cls, graph: ExecutionGraph, row: int) -> "SliceArgs":
        """Tell what the graph knows of a row."""
        nodes = graph.nodes
        args = cls(
            row,
            Category(nodes.category[row]).name.lower(),
            flops=int(nodes.flops[row]),
            bytes=int(nodes.bytes[row]),
        )
        if nodes.step[row] != NONE:
            args.step = graph.steps[nodes.step[row]].name
        if nodes.phase[row] != NONE:
            args.phase = graph.names[nodes.phase[row]]
        if nodes.module[row] != NONE:
            args.module = graph.names[nodes.module[row]]
        if nodes.collective[row] != NONE:
            message = graph.collectives[nodes.collective[row]]
            args.collective, args.group = message.kind, message.group
            args.message_bytes = message.message_bytes
        return args


class Slice(msgspec.Struct, tag_field="ph", tag="X", gc=False):
    """Something that ran on a thread, times in µs."""

    name: str
    cat: str
    pid: int
    tid: int
    ts: float
    dur: float
    args: SliceArgs


class Start(msgspec.Struct, tag_field="ph", tag="s", gc=False):
    """Where an arrow starts: in the slice that runs there then."""

    name: str
    cat: str
    id: int
    pid: int
    tid: int
    ts: float


class Finish(msgspec.Struct, tag_field="ph", tag="f", gc=False):
    """Where an arrow ends: in the slice that encloses that moment."""

    name: str
    cat: str
    id: int
    pid: int
    tid: int
    ts: float
    bp: str = "e"


class MetaArgs(msgspec.Struct, omit_defaults=True, gc=False):
    """A name or a place in the order."""

    name: str = ""
    sort_index: int | msgspec.UnsetType = msgspec.UNSET


class Meta(msgspec.Struct, tag_field="ph", tag="M", gc=False):
    """A name or place of a process or thread."""

    name: str
    pid: int
    tid: int
    args: MetaArgs


Record: TypeAlias = Slice | Start | Finish | Meta


def microseconds(duration_ns: int) -> float:
    """Give ns as µs; exact to the ns within a hundred days."""
    return duration_ns / 1000


def write_records(path: Path, records: Iterable[Record], base_ns: int) -> None:
    """Write a trace file, gzipped where the name ends in .gz.

    Args:
        path: where to.
        records: written as they come, so that no more than a few thousand are held.
        base_ns: absolute time of the trace's zero.
    """
    encoder = msgspec.json.Encoder()
    head = f'{{"displayTimeUnit":"ns","baseTimeNanoseconds":{base_ns},"traceEvents":[\n'
    write_chunks(path, _document(head.encode(), map(encoder.encode, records)))


def write_chunks(path: Path, chunks: Iterable[bytes]) -> None:
    """Write chunks of bytes whole or not at all, gzipped where the name ends in .gz."""
    with atomic_path(path) as part, part.open("wb") as out:
        if path.suffix != ".gz":
            out.writelines(_batches(chunks))
            return
        # No name and no time in the header: equal traces are equal files.
        with gzip.GzipFile("", "wb", _GZIP_LEVEL, cast("BinaryIO", out), mtime=0) as packed:
            packed.writelines(_batches(chunks))


def _batches(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Join many small chunks: gzip is slow to begin each."""
    rest = iter(chunks)
    while batch := list(islice(rest, _BATCH)):
        yield b"".join(batch)


def _document(head: bytes, lines: Iterable[bytes]) -> Iterator[bytes]:
    yield head
    between = b""
    for line in lines:
        yield between + line
        between = b",\n"
    yield b"\n]}\n"
