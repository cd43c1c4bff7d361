"""Read a Chakra `.et` file, etsim's own to the last nanosecond, others' with what they have."""

from pathlib import Path

import msgspec

from ...models.errors import InputError, TraceFormatError
from ...models.graph import ExecutionGraph
from . import own
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
    if "etsim_tables" not in attributes:
        return _read_foreign(frames, attributes, path)
    tables = _tables(attributes, path)
    if _unchanged(attributes, frames):
        return own.graph_from(frames, tables)
    return _read_changed(frames, attributes, tables, path)


def _read_foreign(frames: Frames, attributes: Attributes, path: Path) -> ExecutionGraph:
    from .assemble import assemble  # noqa: PLC0415  # etsim's own files are the usual ones
    from .foreign import read_foreign  # noqa: PLC0415

    nodes, remarks = read_foreign(frames, path)
    return assemble(nodes, attributes, path, remarks)


def _read_changed(
    frames: Frames, attributes: Attributes, tables: Tables, path: Path
) -> ExecutionGraph:
    from .edited import read_edited  # noqa: PLC0415  # as above

    written = attributes.get("etsim_nodes")
    try:
        graph = read_edited(frames, tables, written if isinstance(written, int) else 0, path)
    except (IndexError, KeyError, ValueError, OverflowError) as error:
        raise TraceFormatError(
            f"its bytes changed after etsim wrote it, and no longer fit: {error}",
            where=path,
            remedy="copy or write the file again",
        ) from error
    return _read_foreign(frames, attributes, path) if graph is None else graph


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
