"""Damaged values anywhere in a pair are read around or told: never a traceback, never a hang."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from etsim.converters.convert import Sources, convert
from etsim.models.errors import EtsimError
from etsim.models.specs import load
from etsim.simulator.predict import predict
from etsim.simulator.summary import summarise
from etsim.tests.kineto_maker import Json, Recording, write_json

VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63, 2**64 - 1, 2**70, -(2**63) - 1, 1.5, -0.25, 1e300, "", "x",
    "7", [], [1], [[]], {}, {"a": 1}, ["a", None, [2]],
)  # fmt: skip
A100 = load("a100")
ROUNDS = 60


def whole_pair() -> Recording:
    """Draw a bit of everything: steps, kernels, NCCL, gloo, waits, a blocking copy, frames."""
    run = Recording(rank=0, world_size=2)
    run.mark("epoch_0", 0, 100)
    run.mark("epoch_1", 100, 220)
    mm = {"Sequence number": 3, "Concrete Inputs": ["", ""], "Input Strides": [[8, 1], [2, 1]]}
    run.op("aten::mm", 5, 60, shapes=[[4, 8], [8, 2]], types=["float", "float"], said=mm)
    shape = {"grid": [1, 1, 1], "block": [32, 1, 1]}
    first, second = run.launch(10, 20), run.launch(21, 25)
    run.kernel("sgemm", 70, 90, by=first, said=shape)
    nccl = {"Collective name": "allreduce", "In msg nelems": 8, "dtype": "Float", "Seq": 1,
            "Process Group Ranks": "[0, 1]"}  # fmt: skip
    run.kernel("ncclDevKernel_AllReduce", 95, 120, by=second, stream=20, said=nccl)
    run.sync("cudaStreamWaitEvent", 26, 27, cuda_sync_kind="Stream Wait Event", stream=20,
             wait_on_stream=7, wait_on_cuda_event_record_corr_id=first)  # fmt: skip
    copied = run.call("cudaMemcpyAsync", 30, 140)
    run.kernel("copy", 121, 130, by=copied, cat="gpu_memcpy", said={"bytes": 64})
    run.op("c10d::allreduce_", 141, 143)
    bucket = {"Input Dims": [[8]], "Input type": ["float"]}
    run.mark("gloo:all_reduce", 142, 160, thread=3, said=bucket)
    run.op("aten::add", 165, 170, shapes=[[8], [8]], types=["float", "float"])
    run.event("python_function", "nn.Module: Net", 0, 150, run.pid, 1)
    return run


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the path of every value inside a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, below in inner:
        yield (*above, key)
        if isinstance(below, dict | list):
            yield from places(below, (*above, key))


def damaged(document: Json, random: Random) -> Json:
    """Give a copy with one to three values replaced or left out."""
    result: Json = copy.deepcopy(document)
    for _ in range(random.randint(1, 3)):
        *above, last = random.choice(list(places(result)))
        holder: Any = result
        for key in above:
            holder = holder[key]
        if isinstance(holder, dict) and random.random() < 0.2:
            del holder[last]
        else:
            holder[last] = copy.deepcopy(random.choice(VALUES))
    return result


@pytest.mark.parametrize("side", ["et", "trace"])
@pytest.mark.parametrize("seed", range(3))
def test_any_damage_is_read_around_or_told(tmp_path: Path, side: str, seed: int) -> None:
    run, random = whole_pair(), Random(seed)
    sound = {"et": run.execution_trace(), "trace": run.kineto()}
    lines: list[str] = []
    read = 0
    for _ in range(ROUNDS):
        documents = {**sound, side: damaged(sound[side], random)}
        paths = [write_json(tmp_path / name, document) for name, document in documents.items()]
        try:
            graph = convert(Sources(0, *paths), allow_partial=True).graph
            summarise(predict([graph], None, A100))
            read += 1
        except EtsimError as error:
            lines.append(error.line())
    assert lines or side == "trace"  # of a trace much is read around
    assert not any("\n" in line for line in lines)
    assert read > 0


def test_the_whole_pair_is_sound(tmp_path: Path) -> None:
    et, trace = whole_pair().write(tmp_path)
    converted = convert(Sources(0, et, trace))
    assert converted.report.et_matched == converted.report.et_nodes == 6
    assert json.loads(trace.read_bytes())["distributedInfo"]["world_size"] == 2
