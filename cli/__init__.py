"""The command line: one verb a file; the only place that prints."""

from .main import main

__all__ = ["main"]
