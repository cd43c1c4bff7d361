"""Where an operator belongs: its module path, its phase, and the forward of a backward."""

from etsim.models.graph import NONE
from etsim.tests.kineto_maker import WORKER, Recording, Seen


def module(seen: Seen, name: str) -> str:
    index = int(seen.graph.nodes.module[seen.row(name)])
    return seen.graph.names[index] if index != NONE else ""


def phase(seen: Seen, name: str) -> str:
    index = int(seen.graph.nodes.phase[seen.row(name)])
    return seen.graph.names[index] if index != NONE else ""


def test_the_chain_of_module_frames_around_an_operator_is_its_path() -> None:
    """Draw frames: other python frames do not count, modules of other threads neither.

    python   |nn.Module: Net_0      |nn.Module: Linear_1|    |
    host        |outside|               |mm|              |sum|
    """
    run = Recording()
    frames = (("nn.Module: Net_0", 0, 100), ("model.py(3): forward", 1, 99),
              ("nn.Module: Linear_1", 30, 60))  # fmt: skip
    for name, start, end in frames:
        run.event("python_function", name, start, end, run.pid, 1)
    run.op("outside", 5, 20)
    run.op("mm", 35, 50)
    run.op("sum", 70, 80)
    run.op("after", 110, 120)
    run.op("worker", 35, 50, thread=WORKER)
    seen = run.linked()
    paths = {name: module(seen, name) for name in ("outside", "mm", "sum", "after", "worker")}
    assert paths == {
        "outside": "Net_0", "mm": "Net_0/Linear_1", "sum": "Net_0", "after": "", "worker": ""
    }  # fmt: skip


def test_outside_all_modules_the_innermost_line_of_the_users_own_code_stands_in() -> None:
    """Frames of PyTorch and of Python itself say nothing about the user's code.

    python   |train.py(7): main                                   |
                |train.py(19): step                  |
                   |torch/optim/adam.py(3): step|
    host                 |mul|                    |add|      |sum|   |after|
    """
    run = Recording()
    frames = (
        ("train.py(7): main", 0, 100),
        ("train.py(19): step", 10, 60),
        ("torch/optim/adam.py(3): step", 15, 40),
        ("<built-in method mul>", 18, 35),
    )
    for name, start, end in frames:
        run.event("python_function", name, start, end, run.pid, 1)
    run.op("mul", 20, 30)
    run.op("add", 45, 55)
    run.op("sum", 70, 80)
    run.op("after", 110, 120)
    seen = run.linked()
    assert [module(seen, name) for name in ("mul", "add", "sum", "after")] == [
        "train.py(19): step", "train.py(19): step", "train.py(7): main", ""
    ]  # fmt: skip


def test_without_frames_the_ranges_around_an_operator_stand_in_steps_left_out() -> None:
    run = Recording()
    run.mark("epoch_0", 0, 100)
    run.mark("encoder", 10, 90)
    run.mark("attention", 20, 50)
    run.op("mm", 30, 40)
    run.op("add", 60, 70)
    run.mark("epoch_1", 100, 200)
    seen = run.linked()
    assert module(seen, "mm") == "encoder/attention"
    assert module(seen, "add") == "encoder"


def test_numbered_layers_are_modules_and_numbered_batches_are_not() -> None:
    """epoch_0 [ batch_0 [ layer_0 [mm] layer_1 [add] ] batch_1 [ layer_0 [mul] ] ] epoch_1"""
    run = Recording()
    run.mark("epoch_0", 0, 100)
    run.mark("batch_0", 0, 50)
    run.mark("layer_0", 5, 20)
    run.op("mm", 6, 19)
    run.mark("layer_1", 20, 40)
    run.op("add", 21, 39)
    run.mark("batch_1", 50, 100)
    run.mark("layer_0", 55, 80)
    run.op("mul", 60, 70)
    run.mark("epoch_1", 100, 200)
    seen = run.linked()
    assert [module(seen, name) for name in ("mm", "add", "mul")] == [
        "layer_0",
        "layer_1",
        "layer_0",
    ]


def training() -> Seen:
    """Draw forward on the main thread, backward on autograd's, then the optimizer."""
    run = Recording()
    run.mark("layer", 0, 50)
    run.op("linear", 5, 40, said={"Sequence number": 17})
    root = "autograd::engine::evaluate_function: AddmmBackward0"
    run.op(root, 60, 160, thread=WORKER, said={"Sequence number": 17})
    run.op("AddmmBackward0", 70, 150, thread=WORKER)
    run.op("mm", 80, 120, thread=WORKER)
    run.mark("Optimizer.step#SGD.step", 200, 300)
    run.op("add_", 210, 290)
    return run.linked()


def test_phases_come_from_autograds_engine_and_the_optimizers_mark() -> None:
    seen = training()
    phases = {name: phase(seen, name) for name in ("linear", "mm", "add_")}
    assert phases == {"linear": "forward", "mm": "backward", "add_": "optimizer"}


def test_a_backward_operator_knows_its_forward_and_belongs_to_its_module() -> None:
    seen = training()
    assert seen.graph.nodes.fw_parent[seen.row("mm")] == seen.row("linear")
    assert module(seen, "mm") == "layer"
    assert seen.graph.nodes.fw_parent[seen.row("linear")] == NONE


def test_an_inference_run_has_no_phases() -> None:
    run = Recording()
    run.op("linear", 0, 10)
    assert phase(run.linked(), "linear") == ""
