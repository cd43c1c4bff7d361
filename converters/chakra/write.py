"""Write an ExecutionGraph as a Chakra `.et` file that carries everything a replay needs.

    varint(length) GlobalMetadata    version, schema ..., etsim's tables, count and checksum
    varint(length) Node              id = row + 1, Chakra's fields and attributes, etsim's last
    ...

Every edge is a `data_dep`; nodes.py says how a node's bytes come about.
"""

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ...models.errors import InputError
from ...models.graph import ExecutionGraph
from ..atomic import write_together
from .attributes import METADATA_ATTR, Value, number, text
from .layout import layout_of
from .nodes import encode_nodes
from .tables import encode_tables
from .wire import text_field, varint

FORMAT = 1  # of etsim's own attributes
CHAKRA_VERSION = "1.0.0"
_TEXT_PROPERTIES = ("schema", "time")
_NUMBER_PROPERTIES = ("pid", "start_ts", "finish_ts")


def write_graph(graph: ExecutionGraph, path: Path) -> None:
    """Write one rank's graph; the file appears whole or not at all; errors as `write_graphs`."""
    write_graphs([(graph, path)])


def write_graphs(graphs: Iterable[tuple[ExecutionGraph, Path]]) -> None:
    """Write graphs of one rank each as they come; all the files appear at the end, or none.

    Raises:
        InputError: a graph holds several ranks, or a name that is no Unicode text.
    """
    write_together((path, _encoded(graph, path)) for graph, path in graphs)


def _encoded(graph: ExecutionGraph, path: Path) -> list[bytes]:
    try:
        return list(encode_graph(graph))
    except UnicodeEncodeError as error:
        raise InputError(
            f"a name holds half a surrogate pair: {error.object!r}", where=path
        ) from error


def encode_graph(graph: ExecutionGraph) -> Iterator[bytes]:
    """Give the bytes of a `.et` file, metadata first.

    Raises:
        InputError: the graph holds several ranks.
    """
    if len(graph) and (graph.nodes.rank != graph.nodes.rank[0]).any():
        ranks = np.unique(graph.nodes.rank).tolist()
        raise InputError(
            f"a .et file holds one rank, this graph holds {len(ranks)}: {ranks}",
            remedy="write each rank's graph before they are merged",
        )
    layout = layout_of(graph)
    tables = encode_tables(graph, layout)
    nodes = list(encode_nodes(graph, layout))
    yield _metadata(graph, tables, nodes)
    yield from nodes


def checksum(tables: str, nodes: list[bytes] | list[memoryview]) -> int:
    """Give the CRC-32 over the tables and the nodes: unchanged, a file is read without parsing."""
    crc = zlib.crc32(tables.encode())
    for block in nodes:
        crc = zlib.crc32(block, crc)
    return crc


def encode_plain(graph: ExecutionGraph) -> Iterator[bytes]:
    """Give the bytes of a `.et` file with Chakra's own fields and attributes only."""
    content = _recording(graph)
    yield varint(len(content)) + content
    yield from encode_nodes(graph, None)


def _metadata(graph: ExecutionGraph, tables: str, nodes: list[bytes]) -> bytes:
    content = _recording(graph)
    for key, count in (
        ("etsim_format", FORMAT),
        ("etsim_nodes", len(graph)),
        ("etsim_crc32", checksum(tables, nodes)),
    ):
        content += number(key, count, Value.UINT64, owner=METADATA_ATTR)
    content += text("etsim_tables", tables, owner=METADATA_ATTR)
    return varint(len(content)) + content


def _recording(graph: ExecutionGraph) -> bytes:
    """Encode what Chakra's converter tells of the recording."""
    known = dict(graph.meta.properties)
    content = text_field(1, CHAKRA_VERSION)
    for key in _TEXT_PROPERTIES:
        if key in known:
            content += text(key, known[key], owner=METADATA_ATTR)
    for key in _NUMBER_PROPERTIES:
        if known.get(key, "").isdecimal():
            value = min(int(known[key]), 2**64 - 1)
            content += number(key, value, Value.UINT64, owner=METADATA_ATTR)
    return content
