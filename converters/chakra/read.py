"""Read a Chakra `.et` file, etsim's own to the last nanosecond, others' with what they have."""

import zlib
from pathlib import Path

import msgspec

from ...models.errors import InputError, TraceFormatError
from ...models.graph import ExecutionGraph
from . import foreign, own
from .frames import first_message, load, node_bounds
from .messages import Attributes, read_metadata
from .tables import Tables, decode_tables
from .write import FORMAT


def read_graph(path: Path) -> ExecutionGraph:
    """Read one rank's graph; gzip is told by content.

    Raises:
        TraceFormatError: empty, cut, damaged, or no Chakra trace.
        InputError: it cannot be read, has duplicate ids or a circle of dependencies, or is of a
            newer etsim.
    """
    data = load(path)
    content, position = first_message(data, path)
    attributes = read_metadata(content, path)
    begins, ends = node_bounds(data, position, path)
    _refuse_cut_between_nodes(attributes, len(ends), path)
    if "etsim_tables" not in attributes or not _unchanged(attributes, data, position):
        return foreign.read_nodes(data, begins, ends, attributes, path)
    tables = _tables(attributes, path)
    return own.graph_from(data, begins, ends, tables)


def _tables(attributes: Attributes, path: Path) -> Tables:
    if attributes.get("etsim_format") != FORMAT:
        raise InputError(
            f"was written in etsim's format {attributes.get('etsim_format')!r}, known is {FORMAT}",
            where=path,
            remedy="use the etsim that wrote it, or a newer one",
        )
    try:
        return decode_tables(str(attributes["etsim_tables"]))
    except (msgspec.MsgspecError, TypeError) as error:
        raise TraceFormatError(
            f"etsim's tables are damaged: {error}", where=path, remedy="write the file again"
        ) from error


def _unchanged(attributes: Attributes, data: bytes, position: int) -> bool:
    """Tell whether tables and nodes stand as etsim wrote them."""
    crc = zlib.crc32(str(attributes["etsim_tables"]).encode())
    return attributes.get("etsim_crc32") == zlib.crc32(memoryview(data)[position:], crc)


def _refuse_cut_between_nodes(attributes: Attributes, count: int, path: Path) -> None:
    written = attributes.get("etsim_nodes")
    if isinstance(written, int) and count < written:
        raise TraceFormatError(
            f"cut after node {count} of {written}", where=path, remedy="copy or write it again"
        )
