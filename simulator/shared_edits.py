"""One edit for many machines: a what-if is applied once to all targets that it cannot tell apart.

An edit is a pure function of graph and machines. It runs on one target whose device and host note
which of their figures are read; another target with the same values there, the same links and the
same calibration gets the same graph, or the same refusal, without running it again.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace

from ..models.errors import EtsimError
from ..models.graph import ExecutionGraph
from ..models.hardware import Device, Hardware, Host, Link
from ..models.transforms.scenario import Scenario

Edit = Callable[[Scenario], Scenario]


class _NotingDevice(Device):
    """A device that notes which of its figures are read."""

    __slots__ = ("noted",)
    noted: set[str]

    def __getattribute__(self, name: str) -> object:
        return _read(self, name)


class _NotingHost(Host):
    """A host that notes which of its figures are read."""

    __slots__ = ("noted",)
    noted: set[str]

    def __getattribute__(self, name: str) -> object:
        return _read(self, name)


def _read(part: Device | Host, name: str) -> object:
    # A copy has nothing to note in: whoever made it has read all fields of what it was made from.
    with suppress(AttributeError):
        object.__getattribute__(part, "noted").add(name)
    return object.__getattribute__(part, name)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What an edit saw of a target, and what it made of the graph.

    Attributes:
        before: kept, so that its identity stays its own.
        device, host: values by figure read.
        made: the graph, or why there is none.
        links, suffix: of the target after the edit; what its name got appended.
    """

    before: ExecutionGraph
    target: Hardware
    device: Mapping[str, object]
    host: Mapping[str, object]
    made: ExecutionGraph | EtsimError
    links: tuple[Link, ...] = ()
    suffix: str = ""

    def alike(self, target: Hardware) -> bool:
        """Tell whether the edit cannot tell this target from the one that it ran on."""
        seen = self.target
        return (
            all(getattr(target.device, name) == value for name, value in self.device.items())
            and all(getattr(target.host, name) == value for name, value in self.host.items())
            and target.links == seen.links
            and target.calibration == seen.calibration
            and target.defaulted == seen.defaulted
        )

    def applied(self, scenario: Scenario) -> Scenario:
        """Give what the edit makes of a scenario with a target alike.

        Raises:
            EtsimError: the edit refused.
        """
        if isinstance(self.made, EtsimError):
            raise self.made
        target = scenario.target
        if self.links != target.links or self.suffix:
            target = replace(target, name=target.name + self.suffix, links=self.links)
        return replace(scenario, graph=self.made, target=target)


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
        seen = next((one for one in known if one.alike(scenario.target)), None)
        if seen is not None:
            return seen.applied(scenario)
        return _noted(edit, scenario, known)


def _noted(edit: Edit, scenario: Scenario, known: list[_Seen]) -> Scenario:
    """Run an edit on a target that notes what is read; add to `known` what others may take."""
    target = scenario.target
    device, host = _noting_device(target.device), _noting_host(target.host)
    watched = replace(scenario, target=replace(target, device=device, host=host))
    try:
        after = edit(watched)
    except EtsimError as error:
        if target.name not in error.line():  # else it is this target's own
            known.append(_seen(scenario, device, host, error))
        raise
    changed = after.target
    if changed.device is not device or changed.host is not host:  # another machine
        return replace(after, target=_unwatched(changed, scenario.target, device, host))
    if changed.name.startswith(target.name):
        known.append(_seen(scenario, device, host, after))
    return replace(after, target=replace(changed, device=target.device, host=target.host))


def _seen(
    scenario: Scenario, device: _NotingDevice, host: _NotingHost, made: Scenario | EtsimError
) -> _Seen:
    target = scenario.target
    after = made if isinstance(made, Scenario) else None
    return _Seen(
        before=scenario.graph,
        target=target,
        device=_figures(target.device, object.__getattribute__(device, "noted")),
        host=_figures(target.host, object.__getattribute__(host, "noted")),
        made=made.graph if isinstance(made, Scenario) else made,
        links=after.target.links if after else (),
        suffix=after.target.name.removeprefix(target.name) if after else "",
    )


def _figures(part: Device | Host, noted: set[str]) -> dict[str, object]:
    return {one.name: getattr(part, one.name) for one in fields(part) if one.name in noted}


def _noting_device(device: Device) -> _NotingDevice:
    noting = _NotingDevice(**{one.name: getattr(device, one.name) for one in fields(device)})
    object.__setattr__(noting, "noted", set())  # frozen, but for this
    return noting


def _noting_host(host: Host) -> _NotingHost:
    noting = _NotingHost(**{one.name: getattr(host, one.name) for one in fields(host)})
    object.__setattr__(noting, "noted", set())
    return noting


def _unwatched(hardware: Hardware, target: Hardware, device: Device, host: Host) -> Hardware:
    """Give a machine that an edit put in the target's place, free of what notes."""
    plain_device = target.device if hardware.device is device else _plain_device(hardware.device)
    plain_host = target.host if hardware.host is host else _plain_host(hardware.host)
    return replace(hardware, device=plain_device, host=plain_host)


def _plain_device(device: Device) -> Device:
    return Device(**{one.name: getattr(device, one.name) for one in fields(device)})


def _plain_host(host: Host) -> Host:
    return Host(**{one.name: getattr(host, one.name) for one in fields(host)})
