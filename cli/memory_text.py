"""How a run's memory is told, by every verb that prices one."""

from ..simulator.memory import Memory
from .output import size


def memory_line(memory: Memory, target: str) -> str:
    """Say what the tensors take, whether the target holds them, and what would help."""
    if memory.fits is None:
        return f"Memory: not known: {memory.unknown}."
    uses = ", ".join(f"{size(b)} {use}" for use, b in memory.by_use.items())
    verdict = "fits into" if memory.fits else "does NOT fit into"
    where = f" of stage {memory.stage}" if memory.stage else ""
    told = (
        f"Memory: {size(memory.peak_bytes)} at the peak{where} ({uses}) {verdict} the "
        f"{size(memory.device_bytes)} of {target}."
    )
    if memory.remedies:
        told += f" It would fit with {' or '.join(memory.remedies)}."
    return told


def memory_cell(memory: Memory) -> str:
    """Give the peak for a table's cell, marked where it does not fit."""
    if memory.fits is None:
        return "?"
    return f"{size(memory.peak_bytes)}{'' if memory.fits else ' (!)'}"
