"""Memory from execution traces: lives of storages, their use, the peak."""

from pathlib import Path

import msgspec

from etsim.converters.execution_trace import read_execution_trace
from etsim.converters.memory import memory_use
from etsim.models.memory.plan import Use

RECORDED = Path(__file__).resolve().parents[2] / "examples" / "recorded"
Tensor = list[int | str]


def tensor(storage: int, elements: int) -> Tensor:
    return [100 + storage, storage, 0, elements, 4, "cpu"]


def node(
    number: int,
    name: str,
    parent: int = 2,
    inputs: list[Tensor] | None = None,
    outputs: list[Tensor] | None = None,
    strides: list[list[int]] | None = None,
    shapes: list[list[int]] | None = None,
) -> dict[str, object]:
    def arguments(values: list[Tensor] | None) -> dict[str, object]:
        return {
            "values": values or [],
            "shapes": shapes or [[v[3]] for v in values or []],
            "types": ["Tensor(float)"] * len(values or []),
            "strides": strides or [[1] for _ in values or []],
        }

    attrs = [{"name": "rf_id", "type": "uint64", "value": number}]
    return {
        "id": number,
        "name": name,
        "ctrl_deps": parent,
        "inputs": arguments(inputs),
        "outputs": arguments(outputs),
        "attrs": attrs,
    }


def recorded(folder: Path, *nodes: dict[str, object]) -> Path:
    frame = [
        node(1, "[pytorch|profiler|execution_trace|process]", 1),
        node(2, "[pytorch|profiler|execution_trace|thread]", 1),
    ]
    document = {
        "schema": "1.1.1-chakra.0.0.4",
        "pid": 1,
        "time": "",
        "start_ts": 0,
        "finish_ts": 1,
        "nodes": [*frame, *nodes],
    }
    path = folder / "et.json"
    path.write_bytes(msgspec.json.encode(document))
    return path


def test_a_storage_counts_from_its_first_to_its_last_touch(tmp_path: Path) -> None:
    """a makes 10 floats, b reads them and makes 5, c reads those: 15 floats live during b."""
    path = recorded(
        tmp_path,
        node(3, "aten::a", outputs=[tensor(1, 10)]),
        node(4, "aten::b", inputs=[tensor(1, 10)], outputs=[tensor(2, 5)]),
        node(5, "aten::c", inputs=[tensor(2, 5)]),
    )
    use = memory_use(read_execution_trace(path))
    assert use is not None
    assert use.peak_bytes == 15 * 4


def test_an_id_used_again_is_a_new_storage_and_not_one_long_life(tmp_path: Path) -> None:
    """Storage 1 is made, read, made again larger at the end: never 10 + 100 floats at once."""
    path = recorded(
        tmp_path,
        node(3, "aten::a", outputs=[tensor(1, 10)]),
        node(4, "aten::b", inputs=[tensor(1, 10)]),
        node(5, "aten::c", outputs=[tensor(2, 50)]),
        node(6, "aten::d", inputs=[tensor(2, 50)]),
        node(7, "aten::e", outputs=[tensor(1, 20)]),
    )
    use = memory_use(read_execution_trace(path))
    assert use is not None
    assert use.peak_bytes == 50 * 4


def test_an_expanded_view_counts_only_what_it_reaches(tmp_path: Path) -> None:
    """A bias of 8 seen as 100 rows by stride 0 is 8 floats, not 800."""
    path = recorded(
        tmp_path,
        node(
            3,
            "aten::copy_",
            inputs=[[101, 1, 0, 800, 4, "cpu"]],
            shapes=[[100, 8]],
            strides=[[0, 1]],
        ),
    )
    use = memory_use(read_execution_trace(path))
    assert use is not None
    assert use.peak_bytes == 8 * 4


def test_the_uses_of_the_recorded_mlp_are_its_parameters_and_momenta() -> None:
    """64 x 512 + 512, 512 x 512 + 512, 512 x 10 + 10 floats, and as many of SGD's momentum."""
    parameters = 4 * (64 * 512 + 512 + 512 * 512 + 512 + 512 * 10 + 10)
    use = memory_use(read_execution_trace(RECORDED / "mlp.et.json.gz"))
    assert use is not None
    assert use.by_use[Use.PARAMETER] == parameters
    assert abs(use.by_use[Use.OPTIMIZER_STATE] - parameters) < 1024


def test_adam_keeps_two_states_for_every_parameter_of_the_recorded_transformer() -> None:
    use = memory_use(read_execution_trace(RECORDED / "transformer.et.json.gz"))
    assert use is not None
    assert abs(use.by_use[Use.OPTIMIZER_STATE] - 2 * use.by_use[Use.PARAMETER]) < 4096


def test_a_trace_without_tensors_has_no_memory_to_tell(tmp_path: Path) -> None:
    assert memory_use(read_execution_trace(recorded(tmp_path, node(3, "aten::a")))) is None


def test_what_a_maker_s_own_calls_touch_is_of_the_new_storage(tmp_path: Path) -> None:
    """Storage 1 ends with b; mm makes it anew, and its inner call reads it before mm has ended.

    Else 1 would live from a to the inner call, over c's 50.
    """
    path = recorded(
        tmp_path,
        node(3, "aten::a", outputs=[tensor(1, 40)]),
        node(4, "aten::b", inputs=[tensor(1, 40)]),
        node(5, "aten::c", outputs=[tensor(2, 50)]),
        node(6, "aten::mm", outputs=[tensor(1, 40)]),
        node(7, "aten::resolve_conj", parent=6, inputs=[tensor(1, 40)]),
    )
    use = memory_use(read_execution_trace(path))
    assert use is not None
    assert use.peak_bytes == 50 * 4
