"""To which phase and module each operation belongs, in words.

Net_0/Block_3/Linear_1              forward
[backward]Net_0/Block_3/Linear_1    backward of that module
(cudaGraphLaunch 2)                 kernels of the second graph launch: no module is recorded
"""

import re
from dataclasses import dataclass

from ...models.graph import NONE
from .activity import Activity

NO_GROUP = "(none)"
BACKWARD = "backward"
BACKWARD_MARK = "[backward]"
GRAPH_LAUNCH = "GraphLaunch"  # cudaGraphLaunch, hipGraphLaunch, cuGraphLaunch
_INSTANCE = re.compile(r"_\d+(?=/|$)")


@dataclass(frozen=True, slots=True)
class ModulePaths:
    """How module paths are told.

    Attributes:
        depth: of the path, 0 for all of it.
        classes: without the numbers of instances, so that all `Linear_3` become `Linear`.
    """

    depth: int = 0
    classes: bool = False

    def told(self, path: str) -> str:
        """Give a path as wanted."""
        if self.classes:
            path = _INSTANCE.sub("", path)
        return "/".join(path.split("/")[: self.depth]) if self.depth else path


WHOLE_PATHS = ModulePaths()


def phase_keys(activity: Activity) -> list[str]:
    """Give each operation's phase."""
    names = activity.graph.names
    phase = activity.graph.nodes.phase[activity.row].tolist()
    return [names[index] if index != NONE else NO_GROUP for index in phase]


def module_keys(activity: Activity, paths: ModulePaths = WHOLE_PATHS) -> list[str]:
    """Give each operation's module, marked where it is its backward."""
    graph = activity.graph
    module = graph.nodes.module[activity.row].tolist()
    alone = _graph_launches(activity)
    keys = []
    for place, (index, phase) in enumerate(zip(module, phase_keys(activity), strict=True)):
        if index == NONE:
            keys.append(alone.get(place, NO_GROUP))
        else:
            mark = BACKWARD_MARK if phase == BACKWARD else ""
            keys.append(mark + paths.told(graph.names[index]))
    return keys


def _graph_launches(activity: Activity) -> dict[int, str]:
    """Name the graph launch of each operation that has one, by the operation's place."""
    graph = activity.graph
    is_graph = [name.endswith(GRAPH_LAUNCH) for name in graph.names]
    number: dict[int, int] = {}
    found = {}
    for place, launch in enumerate(activity.launch.tolist()):
        if launch == NONE:
            continue
        name = int(graph.nodes.name[launch])
        if is_graph[name]:
            serial = number.setdefault(launch, len(number) + 1)
            found[place] = f"({graph.names[name]} {serial})"
    return found
