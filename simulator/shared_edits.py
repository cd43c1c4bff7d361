"""One edit for many machines: a what-if is applied once to all targets that it cannot tell apart.

An edit is a pure function of graph and machines. It runs on one target that notes which of its
figures are read; another target with the same values there gets the same graph, or the same
refusal, without running it again. A name and a price decide no graph.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..models.errors import EtsimError
from ..models.graph import ExecutionGraph
from ..models.hardware import Device, Hardware, Host, Link
from ..models.memory.plan import MemoryPlan
from ..models.transforms.scenario import Scenario

Edit = Callable[[Scenario], Scenario]
MAY_DECIDE = ("links", "calibration", "defaulted")  # of the machine beside its device and host


class _Noting:
    """Notes which fields are read, also by whoever copies the part, compares it or calls it."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> object:
        return _read(self, name)

    def __eq__(self, other: object) -> bool:
        mine = fields(self)  # type: ignore[arg-type]  # each child is a dataclass
        return all(getattr(self, one.name) == getattr(other, one.name, None) for one in mine)

    __hash__ = None  # type: ignore[assignment]  # as of any part: mappings have none


class _NotingHardware(_Noting, Hardware):
    """A machine that notes which of its fields are read."""

    __slots__ = ("noted",)
    noted: set[str]


class _NotingDevice(_Noting, Device):
    """A device that notes which of its figures are read."""

    __slots__ = ("noted",)
    noted: set[str]


class _NotingHost(_Noting, Host):
    """A host that notes which of its figures are read."""

    __slots__ = ("noted",)
    noted: set[str]


def _read(part: object, name: str) -> object:
    # A copy has nothing to note in: whoever made it has read all fields of what it was made from.
    with suppress(AttributeError):
        object.__getattribute__(part, "noted").add(name)
    return object.__getattribute__(part, name)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What an edit saw of a target, and what it made of the graph.

    Attributes:
        before, plans: graph and memory that it was asked of; kept, so that their identity stays
            their own.
        machine, device, host: values by field read.
        made: the graph, or why there is none.
        memory: the plans after the edit; none where it refused.
        links: of the target after the edit, None where it left them.
        suffix: what the target's name got appended.
    """

    before: ExecutionGraph
    plans: tuple[MemoryPlan, ...]
    machine: Mapping[str, object]
    device: Mapping[str, object]
    host: Mapping[str, object]
    made: ExecutionGraph | EtsimError
    memory: tuple[MemoryPlan, ...] = ()
    links: tuple[Link, ...] | None = None
    suffix: str = ""

    def alike(self, scenario: Scenario) -> bool:
        """Tell whether the edit cannot tell this scenario of the same graph from its own."""
        target = scenario.target
        return (
            scenario.memory is self.plans
            and _has(target.device, self.device)
            and _has(target.host, self.host)
            and _has(target, self.machine)
        )

    def applied(self, scenario: Scenario) -> Scenario:
        """Give what the edit makes of a scenario with a target alike.

        Raises:
            EtsimError: the edit refused.
        """
        if isinstance(self.made, EtsimError):
            raise self.made
        target = scenario.target
        if self.links is not None:
            target = replace(target, name=target.name + self.suffix, links=self.links)
        return replace(scenario, graph=self.made, target=target, memory=self.memory)


def _has(part: Hardware | Device | Host, values: Mapping[str, object]) -> bool:
    return all(getattr(part, name) == value for name, value in values.items())


@dataclass(slots=True)
class SharedEdits:
    """Edits applied so far, by how many others came before: level 0 is the first of a chain."""

    _levels: dict[int, dict[tuple[int, str], list[_Seen]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def forget(self, level: int) -> None:
        """Drop the edits from a level on, and so their graphs."""
        for deep in [known for known in self._levels if known >= level]:
            del self._levels[deep]

    def __call__(self, level: int, text: str, edit: Edit, scenario: Scenario) -> Scenario:
        """Apply an edit, or take what it made of the graph for a target alike.

        Args:
            level: its place in the chain of edits.
            text: names the edit: equal texts are equal edits.
            edit: pure.
            scenario: before it.

        Raises:
            EtsimError: the edit refuses.
        """
        known = self._levels[level][id(scenario.graph), text]
        seen = next((one for one in known if one.alike(scenario)), None)
        if seen is not None:
            return seen.applied(scenario)
        return _noted(edit, scenario, known)


def _noted(edit: Edit, scenario: Scenario, known: list[_Seen]) -> Scenario:
    """Run an edit on a target that notes what is read; add to `known` what others may take."""
    target = scenario.target
    watched = _noting(target)
    try:
        after = edit(replace(scenario, target=watched))
    except EtsimError as error:
        if target.name not in error.line():  # else it is this target's own
            known.append(_seen(scenario, watched, error, ()))
        raise
    changed = after.target
    if after.source is not scenario.source:
        return replace(after, target=_plain(changed))
    if changed is watched:
        seen = _seen(scenario, watched, after.graph, after.memory)
    elif not _only_links(watched, changed):
        return replace(after, target=_plain(changed))  # another machine: each is asked anew
    else:
        suffix = changed.name.removeprefix(target.name)
        seen = _seen(scenario, watched, after.graph, after.memory)
        seen = replace(seen, links=changed.links, suffix=suffix)
    known.append(seen)
    return seen.applied(scenario)


def _only_links(watched: Hardware, changed: Hardware) -> bool:
    """Tell whether an edit left a machine as it was but for its links and what its name ends in."""
    kept = (one.name for one in fields(Hardware) if one.name not in ("links", "name"))
    same = all(getattr(changed, name) is getattr(watched, name) for name in kept)
    return same and changed.name.startswith(watched.name)


def _seen(
    scenario: Scenario,
    watched: _NotingHardware,
    made: ExecutionGraph | EtsimError,
    memory: tuple[MemoryPlan, ...],
) -> _Seen:
    target = scenario.target
    noted = [
        {one.name: getattr(part, one.name) for one in fields(part) if one.name in _notes(watching)}
        for part, watching in (
            (target, watched), (target.device, watched.device), (target.host, watched.host),
        )
    ]  # fmt: skip
    machine = {name: value for name, value in noted[0].items() if name in MAY_DECIDE}
    return _Seen(scenario.graph, scenario.memory, machine, noted[1], noted[2], made, memory)


def _notes(watching: Hardware | Device | Host) -> frozenset[str]:
    notes: set[str] = object.__getattribute__(watching, "noted")
    return frozenset(notes)


def _noting(target: Hardware) -> _NotingHardware:
    """Give the machine with parts that note what is read; frozen, but for the notes."""
    device, host = _NotingDevice(**_values(target.device)), _NotingHost(**_values(target.host))
    watched = _NotingHardware(**{**_values(target), "device": device, "host": host})
    for part in (watched, device, host):
        object.__setattr__(part, "noted", set())
    return watched


def _plain(hardware: Hardware) -> Hardware:
    """Give a machine that an edit put in the target's place, free of what notes."""
    device, host = Device(**_values(hardware.device)), Host(**_values(hardware.host))
    return Hardware(**{**_values(hardware), "device": device, "host": host})


def _values(part: Hardware | Device | Host) -> dict[str, Any]:
    return {one.name: getattr(part, one.name) for one in fields(part)}
