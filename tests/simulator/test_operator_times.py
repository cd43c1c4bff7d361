"""What operators cost: all that was launched inside the outermost one counts as its own."""

from etsim.models.graph import Operator
from etsim.models.timeline import Timeline
from etsim.simulator.breakdown.activity import activity_of
from etsim.simulator.breakdown.selection import Window
from etsim.simulator.operator_times import NO_OPERATOR, OperatorKey, operator_times
from etsim.tests.timelines import Drawing

LINEAR = Operator("aten::linear", input_shapes=((2, 4), (4, 4)))


def linear_on_a_device() -> Timeline:
    """
    host     linear 0-2 > addmm 2-3 > launch 3-4
    device                               [gemm 5-9]   [stray 9-10, no launch]
    """
    drawing = Drawing()
    top = drawing.host("aten::linear", 0, 2, operator=LINEAR)
    inner = drawing.host("aten::addmm", 2, 3, operator=Operator("aten::addmm"), parent=top)
    drawing.device(5, 9, name="gemm", launch=drawing.launch(3, 4, parent=inner))
    drawing.device(9, 10, name="stray")
    return drawing.done()


def test_an_outermost_operator_owns_what_was_launched_inside() -> None:
    found = operator_times(activity_of(linear_on_a_device(), 0), Window(5, 10))
    assert [(one.key, one.time_ns, one.host_ns) for one in found] == [
        (OperatorKey("aten::linear", ((2, 4), (4, 4))), 4, 4),
        (OperatorKey(f"{NO_OPERATOR}stray"), 1, 0),
    ]


def test_work_outside_the_window_does_not_count() -> None:
    found = operator_times(activity_of(linear_on_a_device(), 0), Window(0, 5))
    assert [one.time_ns for one in found] == [0]


def test_operators_of_other_steps_are_left_out_unless_they_work_in_the_window() -> None:
    activity = activity_of(linear_on_a_device(), 0)
    assert len(operator_times(activity, Window(0, 5), [0])) == 0
    assert len(operator_times(activity, Window(5, 9), [0])) == 1


def test_on_a_cpu_the_thread_itself_is_busy() -> None:
    drawing = Drawing()
    drawing.host("aten::linear", 0, 2, operator=LINEAR)
    (one,) = operator_times(activity_of(drawing.done(), 0), Window(0, 2))
    assert (one.time_ns, one.host_ns) == (2, 2)
