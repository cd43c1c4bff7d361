"""Finding an engine's steps: annotated ones exactly, others by what their kernels tell."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from etsim.converters.convert import convert_kineto
from etsim.models.errors import NeedsRecordingError
from etsim.models.serving.step_names import Share, StepPhase
from etsim.simulator.phases import EngineStep, Evidence, Part, find_steps

Event = dict[str, object]


def steps_of(events: list[Event], folder: Path) -> list[EngineStep]:
    path = folder / "trace.json"
    path.write_text(json.dumps({"schemaVersion": 1, "traceEvents": events}))
    return find_steps(convert_kineto(path).graph)


def without_annotations(path: Path, folder: Path) -> Path:
    trace = json.loads(gzip.decompress(path.read_bytes()))
    annotations = {"user_annotation", "gpu_user_annotation"}
    trace["traceEvents"] = [e for e in trace["traceEvents"] if e.get("cat") not in annotations]
    stripped = folder / "stripped.json"
    stripped.write_text(json.dumps(trace))
    return stripped


def launch(ts: float, correlation: int, name: str = "cudaLaunchKernel") -> Event:
    return {"ph": "X", "cat": "cuda_runtime", "name": name, "pid": 1, "tid": 1, "ts": ts,
            "dur": 2, "args": {"correlation": correlation}}  # fmt: skip


def kernel(ts: float, duration: float, correlation: int, name: str, grid: int = 1) -> Event:
    return {"ph": "X", "cat": "kernel", "name": name, "pid": 0, "tid": 7, "ts": ts,
            "dur": duration, "args": {"correlation": correlation, "stream": 7, "device": 0,
                                      "grid": [grid, 1, 1], "block": [128, 1, 1]}}  # fmt: skip


def sync(ts: float, duration: float) -> Event:
    return {"ph": "X", "cat": "cuda_runtime", "name": "cudaStreamSynchronize", "pid": 1, "tid": 1,
            "ts": ts, "dur": duration, "args": {}}  # fmt: skip


def annotation(ts: float, duration: float, name: str) -> Event:
    return {"ph": "X", "cat": "user_annotation", "name": name, "pid": 1, "tid": 1, "ts": ts,
            "dur": duration, "args": {}}  # fmt: skip


def test_an_annotated_step_has_its_device_span_and_split(tmp_path: Path) -> None:
    """host    |step: launch launch|

    device        |gemm 30|  5  |flash_fwd 10|     span 45, busy 40
    """
    (step,) = steps_of(
        [
            annotation(0, 20, "step[DECODE bs=4]"),
            launch(2, 1),
            launch(6, 2),
            kernel(10, 30, 1, "ampere_bf16_gemm"),
            kernel(45, 10, 2, "flash_fwd_splitkv_kernel"),
        ],
        tmp_path,
    )
    assert step.evidence is Evidence.ANNOTATION
    assert (step.span_ns, step.busy_ns, step.step_ns) == (45_000, 40_000, 45_000)
    assert step.split[Part.LINEAR] == 30_000
    assert step.split[Part.ATTENTION] == 10_000
    assert step.split[Part.HOST] == 5_000
    assert sum(step.split.values()) == step.step_ns


def test_the_engines_steps_count_inside_profiler_steps_too(tmp_path: Path) -> None:
    steps = steps_of(
        [
            annotation(0, 100, "ProfilerStep#0"),
            annotation(1, 20, "step[EXTEND bs=1 toks=64]"),
            launch(2, 1),
            kernel(10, 30, 1, "fmha_fwd"),
            annotation(50, 20, "step[DECODE bs=1]"),
            launch(52, 2),
            kernel(60, 5, 2, "flash_fwd_splitkv"),
        ],
        tmp_path,
    )
    assert [s.label.phase for s in steps] == [StepPhase.PREFILL, StepPhase.DECODE]
    assert [s.busy_ns for s in steps] == [30_000, 5_000]


def test_unnamed_steps_are_cut_at_syncs_and_counted_by_grids(tmp_path: Path) -> None:
    """A prompt of 64 tokens for 2 requests, then a decode of 2: gathers tell 2, stores 64 and 2."""
    events: list[Event] = []
    for start, tokens, attention in ((0, 64, "flash_fwd_kernel"), (100, 2, "flash_fwd_kernel")):
        names = (("reshape_and_cache_flash_kernel", tokens), (attention, 8),
                 ("vectorized_gather_kernel", 2))  # fmt: skip
        for i, (name, grid) in enumerate(names):
            events.append(launch(start + 4 * i, start + i + 1))
            events.append(kernel(start + 10 + 5 * i, 4, start + i + 1, name, grid))
        events.append(sync(start + 20, 30))
    steps = steps_of(events, tmp_path)
    assert [s.label.phase for s in steps] == [StepPhase.PREFILL, StepPhase.DECODE]
    assert steps[0].label.context == Share(2, 64, None, None, None)
    assert steps[1].label.generation == Share(2, 2, None, None, None)
    assert all(s.evidence is Evidence.GUESS for s in steps)


def test_a_graph_launch_that_owns_the_step_is_a_decode_step(tmp_path: Path) -> None:
    events = [launch(0, 1, "cudaGraphLaunch"), launch(4, 2)]
    events += [kernel(10 + i, 1, 1, "paged_attention_kernel") for i in range(20)]
    events += [kernel(40, 2, 2, "vectorized_gather_kernel", 7), sync(5, 60)]
    (step,) = steps_of(events, tmp_path)
    assert step.label.phase is StepPhase.DECODE
    assert step.label.generation == Share(7, 7, None, None, None)
    assert step.graph_launches == 1


def test_an_sglang_step_is_counted_by_its_index_kernel(tmp_path: Path) -> None:
    """create_flashinfer_kv_indices has one block a request: 32 decode."""
    events = [launch(0, 1), launch(4, 2), sync(8, 60)]
    events += [kernel(10, 2, 1, "create_flashinfer_kv_indices_triton", 32),
               kernel(20, 9, 2, "BatchDecodeWithPagedKVCacheKernel", 64)]  # fmt: skip
    (step,) = steps_of(events, tmp_path)
    assert step.label.phase is StepPhase.DECODE
    assert step.label.generation == Share(32, 32, None, None, None)
    assert step.split[Part.ATTENTION] == 9_000


def test_a_trace_without_a_language_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NeedsRecordingError, match="no prefill or decode step"):
        steps_of([launch(0, 1), kernel(5, 10, 1, "conv_kernel")], tmp_path)


@pytest.mark.shared
def test_vllm_steps_are_recovered_exactly(shared_data: Path) -> None:
    folder = shared_data / "traces" / "vllm_mi"
    (decode,) = find_steps(convert_kineto(folder / "vllm_decode_full.json.gz").graph)
    assert decode.label.phase is StepPhase.DECODE
    assert decode.label.generation == Share(32, 32, 55086, 32, 55086)
    assert round(decode.span_ns / 1e6, 3) == 10.743
    assert round(decode.busy_ns / 1e6, 3) == 10.718
    assert decode.graph_launches == 1
    mixed_path = folder / "vllm_prefilldecode_piecewise.json.gz"
    (mixed,) = find_steps(convert_kineto(mixed_path).graph)
    assert mixed.label.phase is StepPhase.MIXED
    assert mixed.label.context == Share(9, 8155, 8430, 7475785, 7671310)
    assert mixed.label.generation == Share(37, 37, 34489, 37, 34489)
    assert round(mixed.span_ns / 1e6, 2) == 156.47
    assert round(mixed.busy_ns / 1e6, 2) == 156.09
    assert mixed.graph_launches == 25


@pytest.mark.shared
def test_vllm_steps_are_recovered_without_their_annotations(
    shared_data: Path, tmp_path: Path
) -> None:
    folder = shared_data / "traces" / "vllm_mi"
    bare = without_annotations(folder / "vllm_decode_full.json.gz", tmp_path)
    (decode,) = find_steps(convert_kineto(bare).graph)
    assert decode.label.phase is StepPhase.DECODE
    assert decode.label.generation.requests == 32
    bare = without_annotations(folder / "vllm_prefilldecode_piecewise.json.gz", tmp_path)
    (prefill,) = find_steps(convert_kineto(bare).graph)
    assert prefill.label.phase is StepPhase.PREFILL
    assert (prefill.label.context.requests, prefill.label.context.tokens) == (46, 8192)


@pytest.mark.shared
def test_an_eager_prefill_is_told_by_its_embedding(shared_data: Path) -> None:
    path = shared_data / "traces" / "pair_h100_mi300" / "h100_qwen0.5b.json.gz"
    (step,) = find_steps(convert_kineto(path).graph)
    assert step.label.context == Share(16, 16 * 559, None, None, None)


@pytest.mark.torch
def test_a_plain_generation_loop_is_split_into_its_steps(tmp_path: Path) -> None:
    """A toy decoder on the CPU: a prompt of 2 x 12 tokens, then three tokens each."""
    import torch  # noqa: PLC0415  # only where it is installed
    from torch.profiler import ProfilerActivity, profile  # noqa: PLC0415

    record: Callable[..., torch.Tensor] = torch.nn.functional.scaled_dot_product_attention
    table = torch.randn(50, 16)

    def forward(ids: torch.Tensor, cache: torch.Tensor | None) -> torch.Tensor:
        x = torch.nn.functional.embedding(ids, table)[:, None]
        kv = x if cache is None else torch.cat([cache, x], dim=2)
        (record(x, kv, kv) @ table.T).argmax(-1)
        return kv

    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
        cache = forward(torch.zeros(2, 12, dtype=torch.long), None)
        for _ in range(3):
            cache = forward(torch.zeros(2, 1, dtype=torch.long), cache)
    path = tmp_path / "trace.json"
    profiler.export_chrome_trace(str(path))
    steps = find_steps(convert_kineto(path).graph)
    assert [s.label.phase for s in steps] == [StepPhase.PREFILL, *[StepPhase.DECODE] * 3]
    assert steps[0].label.context == Share(2, 24, None, None, None)
    assert [s.label.generation.kv for s in steps[1:]] == [26, 28, 30]
