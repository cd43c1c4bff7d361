"""Read recordings that are no `.et`; a file of its own because linking takes long to import."""

from pathlib import Path

from ..converters.ascend.convert import convert_ascend_path
from ..converters.chakra import read_graph
from ..converters.convert import convert_kineto
from ..converters.execution_trace import read_execution_trace
from ..converters.files import FileKind, read_bytes, sniff
from ..converters.nsys.convert import convert_nsys
from ..converters.recording import Recording
from ..models.errors import TraceFormatError


def read_kineto_trace(path: Path, *, salvage: bool) -> list[Recording]:
    """Read a Kineto trace; errors as `convert_kineto`."""
    converted = convert_kineto(path, salvage=salvage)
    return [Recording(converted.graph, converted.overhead)]


def read_other(path: Path) -> list[Recording]:
    """Read what is neither a Kineto trace nor a `.et`.

    Raises:
        TraceFormatError: an execution trace alone, or nothing that can be read.
    """
    data = read_bytes(path)
    match sniff(data):
        case FileKind.ASCEND:
            return [Recording(graph) for graph in convert_ascend_path(path)]
        case FileKind.NSYS:
            return convert_nsys(path)
        case FileKind.EXECUTION_TRACE:
            read_execution_trace(path, data)
            raise TraceFormatError(
                "is an execution trace, which has no times",
                where=path,
                remedy="join it with its Kineto trace first: etsim convert --et ... --trace ...",
            )
        case _:
            return [Recording(read_graph(path))]  # tells what is wrong with it
