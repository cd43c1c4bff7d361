from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given

from etsim.converters.chakra import is_chakra, read_graph, write_graph
from etsim.models.graph import ExecutionGraph, same_graph
from etsim.tests.strategies import execution_graphs


@given(execution_graphs())
def test_what_is_written_is_read_back_to_the_last_nanosecond(graph: ExecutionGraph) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.0.et"
        write_graph(graph, path)
        assert is_chakra(path.read_bytes()[:300])
        assert same_graph(read_graph(path), graph)
