"""Chakra execution traces, `.et`: written for Chakra's own tools, read to the last nanosecond."""

from .frames import is_chakra
from .read import read_graph
from .write import write_graph, write_graphs

__all__ = ["is_chakra", "read_graph", "write_graph", "write_graphs"]
