"""How files become the graph, and back. Never meets the simulator."""
