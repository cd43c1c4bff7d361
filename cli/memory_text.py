"""How a run's memory is told, by every verb that prices one."""

from ..simulator.summary import Memory
from .output import size


def memory_line(memory: Memory, target: str) -> str:
    """Say in a sentence what the tensors take and whether the target holds them."""
    uses = ", ".join(f"{size(b)} {use}" for use, b in memory.by_use.items())
    verdict = "fits into" if memory.fits else "does NOT fit into"
    return (
        f"Memory: {size(memory.peak_bytes)} at the peak ({uses}) {verdict} the "
        f"{size(memory.device_bytes)} of {target}."
    )
