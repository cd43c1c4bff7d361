"""From a Kineto trace to an execution graph: rows, and a typed edge for every reason to wait."""
