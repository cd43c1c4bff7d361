"""What a runtime call does, by a name that each vendor and profiler spells in its own way."""

import pytest

from etsim.converters.link.calls import Call, call_of, calls_of


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("cudaDeviceSynchronize", Call.DEVICE_SYNC),
        ("cuCtxSynchronize", Call.DEVICE_SYNC),
        ("aclrtSynchronizeDevice", Call.DEVICE_SYNC),
        ("hipStreamSynchronize", Call.STREAM_SYNC),
        ("cuStreamSynchronize_ptsz", Call.STREAM_SYNC),
        ("cudaStreamSynchronize_v3020", Call.STREAM_SYNC),
        ("musaStreamSynchronize", Call.STREAM_SYNC),
        ("urQueueFinish", Call.STREAM_SYNC),
        ("cudaEventSynchronize_spt", Call.EVENT_SYNC),
        ("cudaStreamWaitEvent_ptsz_v7000", Call.STREAM_WAIT),
        ("cudaEventRecordWithFlags", Call.EVENT_RECORD),
        ("hipEventQuery", Call.QUERY),
        ("hipMemcpyWithStream", Call.COPY),
        ("cuMemcpyDtoHAsync_v2", Call.COPY),
        ("cudaFreeHost", Call.FREE),
    ],
)
def test_calls_that_matter(name: str, call: Call) -> None:
    assert call_of(name) is call


@pytest.mark.parametrize(
    "name",
    ["cudaLaunchKernel", "cudaFreeAsync", "StreamSynchronize", "Free", "mcts::EventQuery",
     "aten::copy_", "cublasFree", "custom_op", "", "hip"],
)  # fmt: skip
def test_calls_that_do_not(name: str) -> None:
    assert call_of(name) is Call.OTHER


def test_no_name_is_no_call() -> None:
    assert calls_of(["cudaFree"]).tolist() == [Call.FREE, Call.OTHER]
    assert calls_of([])[-1] == Call.OTHER
