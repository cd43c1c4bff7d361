"""Describe each collective: kind, group, bytes, dtype, sequence.

From the kernel's own words, else from the annotation or operator that issued it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from ...models.graph import NONE, Category, Collective, Int32s, Int64s
from ...models.graph_builder import Interner
from ..kineto import KinetoTrace, ranks_of, whole
from ..kineto_events import Args
from . import names
from .operators import parse_dims, parse_strings


@dataclass(frozen=True, slots=True, eq=False)
class Collectives:
    """Collective index, sequence and category by host event and by device event; -1 for none."""

    table: tuple[Collective, ...]
    of_device: Int32s
    of_host: Int32s
    device_sequence: Int64s
    host_sequence: Int64s
    device_category: Int64s


def find_collectives(
    trace: KinetoTrace, call_of_device: Int64s, parent: Int32s, host_category: Int64s
) -> Collectives:
    """Describe every collective of a trace, on streams and on host threads."""
    finder = _Describer(trace, parent.tolist())
    device, host = len(trace.device), len(trace.host)
    of_device = np.full(device, NONE, dtype=np.int32)
    of_host = np.full(host, NONE, dtype=np.int32)
    device_sequence = np.full(device, NONE, dtype=np.int64)
    category = np.full(device, NONE, dtype=np.int64)
    communicates = np.array([names.is_communication_kernel(n) for n in trace.names], dtype=bool)
    for event in np.flatnonzero(_flags(communicates, trace.device.name)).tolist():
        found = finder.of_device(event, int(call_of_device[event]))
        of_device[event] = finder.table[found]
        device_sequence[event] = whole(trace.device.said(event).collective_sequence)
        category[event] = {"send": Category.SEND, "recv": Category.RECV}.get(
            found.kind, Category.COLLECTIVE
        )
    for event in np.flatnonzero(host_category == Category.COLLECTIVE).tolist():
        of_host[event] = finder.table[finder.of_host(event)]
    return Collectives(
        tuple(finder.table),
        of_device,
        of_host,
        device_sequence,
        np.full(host, NONE, dtype=np.int64),
        category,
    )


def _flags(by_name: np.ndarray[tuple[int], np.dtype[np.bool_]], name: Int32s) -> Int64s:
    return by_name[name].astype(np.int64) if len(name) else np.empty(0, dtype=np.int64)


class _Describer:
    def __init__(self, trace: KinetoTrace, parent: Sequence[int]) -> None:
        self.trace = trace
        self.parent = parent
        self.table: Interner[Collective] = Interner()

    def of_device(self, event: int, call: int) -> Collective:
        """The kernel's own args, each gap filled from the events around its launch."""
        args = self.trace.device.said(event)
        name = self.trace.names[int(self.trace.device.name[event])]
        if args.collective_name is not None:
            return self._from_args(args, str(args.collective_name))
        for above in self._chain(call):
            text = self.trace.names[int(self.trace.host.name[above])]
            around = self.trace.host.said(above)
            if around.collective_name is not None:
                return self._from_args(around, str(around.collective_name))
            if names.issues_collective(text) and names.collective_kind(text):
                return self._from_shapes(around, text)
        return Collective(names.collective_kind(name) or "unknown")

    def of_host(self, event: int) -> Collective:
        """A backend's annotation: `gloo:all_reduce` with the tensor's shape.

        It names no group; where the run has only one, it is that.
        """
        name = self.trace.names[int(self.trace.host.name[event])]
        found = self._from_shapes(self.trace.host.said(event), name)
        if len(self.trace.groups) != 1:
            return found
        group = self.trace.groups[0]
        return replace(found, group=group.name, ranks=group.ranks)

    def _chain(self, event: int) -> list[int]:
        chain = []
        while event >= 0:
            chain.append(event)
            event = self.parent[event]
        return chain

    def _from_args(self, args: Args, text: str) -> Collective:
        dtype = str(args.dtype or "")
        kind = names.collective_kind(text) or text
        elements = max(whole(args.in_elements, 0), whole(args.out_elements, 0))
        if kind in ("all_reduce", "reduce", "broadcast", "send"):
            elements = whole(args.in_elements, 0) or elements
        peer = args.destination_rank if kind == "send" else args.source_rank
        return Collective(
            kind=kind,
            group=str(args.group_name if args.group_name is not None else ""),
            ranks=_ranks(args),
            dtype=dtype,
            message_bytes=max(0, elements) * names.dtype_bytes(dtype),
            peer=whole(peer) if kind in ("send", "recv") else NONE,
        )

    def _from_shapes(self, args: Args, text: str) -> Collective:
        types = parse_strings(bytes(args.input_type))
        dtype = types[0] if types else ""
        shapes = parse_dims(bytes(args.input_dims))
        first = shapes[0] if shapes else ()
        elements = 1
        for size in first if isinstance(first, tuple) else (first,):
            elements *= size if isinstance(size, int) else 1
        has_tensor = bool(shapes) and bool(dtype)
        message = max(0, elements) * names.dtype_bytes(dtype) if has_tensor else 0
        return Collective(names.collective_kind(text) or text, dtype=dtype, message_bytes=message)


def _ranks(args: Args) -> tuple[int, ...]:
    raw = bytes(args.group_ranks)
    return ranks_of(msgspec.json.decode(raw)) if raw else ()
