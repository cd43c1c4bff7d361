"""Which machine a run was recorded on, and which one is asked for."""

from collections.abc import Sequence
from dataclasses import replace

from ..models.graph import ExecutionGraph
from ..models.hardware import Hardware
from ..models.specs import load, match_device

SOURCE = "source"
STAND_IN = "cpu-cloud-2core"


def source_hardware(graphs: Sequence[ExecutionGraph], given: str | None) -> Hardware | None:
    """Give the machine of a recording: as given, else by the device's recorded name.

    Args:
        graphs: of all ranks; the first that names a device tells.
        given: `--source-hw`, a path or catalogue name, or None.
    """
    if given is not None:
        return load(given)
    for graph in graphs:
        meta = graph.meta
        if meta.source_device or meta.device_memory_bytes:
            name = match_device(meta.source_device, meta.device_memory_bytes)
            if name is not None:
                return load(name)
    return None


def target_hardware(
    name: str, source: Hardware | None, graphs: Sequence[ExecutionGraph]
) -> tuple[Hardware | None, Hardware]:
    """Give source and target for `--hw name`.

    `source` replays on the recording's own machine, known or not: nothing is priced then, so a
    stand-in under its recorded name serves where no spec fits it.
    """
    if name != SOURCE:
        return source, load(name)
    if source is None:
        recorded = next((g.meta.source_device for g in graphs if g.meta.source_device), "")
        source = replace(load(STAND_IN), name=recorded or "the recording CPU")
    return source, source
