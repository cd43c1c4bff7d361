"""Read a Chakra `.et` file, etsim's own to the last nanosecond, others' with what they have."""

from pathlib import Path

import msgspec

from ...models.errors import InputError, TraceFormatError
from ...models.graph import ExecutionGraph
from . import own
from .assemble import assemble
from .foreign import read_foreign
from .frames import Frames, framed, load
from .messages import Attributes, read_metadata
from .tables import Tables, decode_tables
from .write import FORMAT, checksum


def read_graph(path: Path) -> ExecutionGraph:
    """Read one rank's graph; gzip is told by content.

    Raises:
        TraceFormatError: empty, cut, damaged, or no Chakra trace.
        InputError: it cannot be read, has duplicate ids or a circle of dependencies, or is of a
            newer etsim.
    """
    frames = framed(load(path), path)
    attributes = read_metadata(frames.data[frames.metadata], path)
    _refuse_cut_between_nodes(attributes, len(frames), path)
    if "etsim_tables" not in attributes or not _unchanged(attributes, frames):
        nodes, remarks = read_foreign(frames, path)
        return assemble(nodes, attributes, path, remarks)
    return own.graph_from(frames, _tables(attributes, path))


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


def _unchanged(attributes: Attributes, frames: Frames) -> bool:
    """Tell whether tables and nodes stand as etsim wrote them."""
    nodes = memoryview(frames.data)[frames.metadata.stop :]
    return attributes.get("etsim_crc32") == checksum(str(attributes["etsim_tables"]), [nodes])


def _refuse_cut_between_nodes(attributes: Attributes, count: int, path: Path) -> None:
    written = attributes.get("etsim_nodes")
    if isinstance(written, int) and count < written:
        raise TraceFormatError(
            f"cut after node {count} of {written}", where=path, remedy="copy or write it again"
        )
