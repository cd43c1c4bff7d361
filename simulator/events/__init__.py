"""Event-driven replay: for what max-plus cannot say, links whose sharers depend on the time."""
