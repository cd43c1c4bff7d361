"""Everything known about a rank's events beside their times: operators, collectives, places."""

from dataclasses import dataclass, replace

import numpy as np

from ...models.graph import NONE, Int32s, Int64s
from ..execution_trace import ExecutionTrace
from ..kineto import KinetoTrace
from .collectives import Collectives, find_collectives
from .host import categories
from .launches import Launches
from .modules import Places, find_places
from .operators import Operators, intern_operators
from .segments import ancestors_where, is_operator
from .steps import StepMark


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """What an execution trace adds to a Kineto trace.

    Attributes:
        et: the execution trace.
        node_of_event: its node for each host event, shape (host events,), -1 for none.
    """

    et: ExecutionTrace
    node_of_event: Int64s


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """By host event, shape (host events,), or by device event, shape (device events,).

    Attributes:
        parent: enclosing host event, -1 at the top.
        operator_of_device: index into the operators' table, -1 for none.
        seq_id: autograd's sequence number, -1 for none.
        rf_id: record function id, 0 for none.
    """

    parent: Int64s
    operators: Operators
    operator_of_device: Int64s
    collectives: Collectives
    places: Places
    steps: list[StepMark]
    seq_id: Int64s
    rf_id: Int64s


def describe(
    trace: KinetoTrace,
    joined: Joined | None,
    parent: Int32s,
    launches: Launches,
    steps: list[StepMark],
) -> Described:
    """Gather what is known about the events of a trace."""
    wanted = is_operator(trace.host)
    operators = intern_operators(
        trace,
        wanted,
        joined.et if joined else None,
        joined.node_of_event.tolist() if joined else (),
    )
    call = launches.call_of_device
    nearest = np.append(ancestors_where(parent, wanted), NONE)
    of_event = np.append(operators.of_event, NONE).astype(np.int64)  # index -1 finds the -1
    sequence = trace.host.sequence
    places = find_places(trace, parent, sequence, steps)
    if joined is not None:
        places = replace(places, forward_event=_recorded_forward(joined, places.forward_event))
    return Described(
        parent=parent.astype(np.int64),
        operators=operators,
        operator_of_device=of_event[nearest[call]],
        collectives=find_collectives(trace, call, parent, categories(trace, launches)),
        places=places,
        steps=steps,
        seq_id=sequence,
        rf_id=trace.host.rf_id if joined is None else _recorded_ids(joined),
    )


def _recorded_ids(joined: Joined) -> Int64s:
    """The execution trace's own ids: the profile's may be zero or of another numbering."""
    node = joined.node_of_event
    return np.where(node >= 0, joined.et.rf_id[node], 0)


def _recorded_forward(joined: Joined, inferred: Int64s) -> Int64s:
    """Forward events by the execution trace's `fw_parent`, inferred ones where it tells none."""
    et, node = joined.et, joined.node_of_event
    event_of_node = np.full(len(et) + 1, NONE, dtype=np.int64)
    event_of_node[node[node >= 0]] = np.flatnonzero(node >= 0)
    wanted = np.where(node >= 0, et.fw_parent[node], 0)
    place = np.minimum(np.searchsorted(et.id, wanted), len(et) - 1)
    known = (wanted > 0) & (et.id[place] == wanted)
    forward = np.where(known, event_of_node[place], NONE)
    return np.where(forward >= 0, forward, inferred)
