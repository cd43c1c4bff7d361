"""What the world is: graph, hardware, costs, serving formulas. Knows no file format."""
