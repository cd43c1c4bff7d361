"""Names of phases and modules: instances, backward, and graph launches."""

import pytest

from etsim.models.graph import Category
from etsim.simulator.breakdown.activity import activity_of
from etsim.simulator.breakdown.owners import NO_GROUP, ModulePaths, module_keys
from etsim.tests.timelines import Drawing


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (ModulePaths(), "Net_0/Block_12/Linear_3"),
        (ModulePaths(depth=2), "Net_0/Block_12"),
        (ModulePaths(classes=True), "Net/Block/Linear"),
        (ModulePaths(depth=1, classes=True), "Net"),
    ],
)
def test_paths_are_told_as_wanted(paths: ModulePaths, told: str) -> None:
    assert paths.told("Net_0/Block_12/Linear_3") == told


def test_kernels_of_graph_launches_stand_under_their_launch() -> None:
    """
    graph launch 1 > k k      graph launch 2 > k      plain launch > k     k without launch
    """
    drawing = Drawing()
    graphs = [drawing.host("cudaGraphLaunch", t, t + 1, category=Category.LAUNCH) for t in range(2)]
    plain = drawing.launch(2, 3)
    for start, launch in enumerate([graphs[0], graphs[0], graphs[1], plain, None], start=3):
        drawing.device(start, start + 1, launch=launch)
    assert module_keys(activity_of(drawing.done(), 0)) == [
        "(cudaGraphLaunch 1)",
        "(cudaGraphLaunch 1)",
        "(cudaGraphLaunch 2)",
        NO_GROUP,
        NO_GROUP,
    ]


def test_backward_is_marked_with_the_module_of_its_forward() -> None:
    drawing = Drawing()
    drawing.device(0, 1, module="Net/Linear", phase="forward")
    drawing.device(1, 2, module="Net/Linear", phase="backward")
    assert module_keys(activity_of(drawing.done(), 0)) == ["Net/Linear", "[backward]Net/Linear"]
