"""What runtime calls do, by their names: CUDA's and its kin's, Ascend's ACL's, Level Zero's.

CUDA's kin (HIP, MUSA, MetaX) and its driver spell the same calls with a prefix of their own, and
profilers add the version or the default stream's kind: `cuStreamSynchronize_ptsz`,
`hipStreamSynchronize` and `cudaStreamSynchronize_v3020` are one call.
"""

import re
from collections.abc import Sequence
from enum import IntEnum

import numpy as np

from ...models.graph import Bytes


class Call(IntEnum):
    """What a host call does that matters to a replay."""

    OTHER = 0
    DEVICE_SYNC = 1
    STREAM_SYNC = 2
    EVENT_SYNC = 3
    STREAM_WAIT = 4
    EVENT_RECORD = 5
    QUERY = 6
    COPY = 7
    # releases memory: the device must be idle first, so it waits where it is not
    FREE = 8


SYNCS = (Call.DEVICE_SYNC, Call.STREAM_SYNC, Call.EVENT_SYNC)
_PREFIX = re.compile(r"(?:cuda|cu|hip|musa|mu|mc)(?=[A-Z])")
_SUFFIX = re.compile(r"(?:_v\d+|_ptsz|_ptds|_spt)+$")
_NAMES: dict[Call, tuple[str, ...]] = {
    Call.DEVICE_SYNC: (
        "DeviceSynchronize", "CtxSynchronize", "ThreadSynchronize", "aclrtSynchronizeDevice",
        "aclrtSynchronizeDeviceWithTimeout",
    ),
    Call.STREAM_SYNC: (
        "StreamSynchronize", "aclrtSynchronizeStream", "aclrtSynchronizeStreamWithTimeout",
        "urQueueFinish", "zeCommandQueueSynchronize", "zeCommandListHostSynchronize",
    ),
    Call.EVENT_SYNC: (
        "EventSynchronize", "aclrtSynchronizeEvent", "aclrtSynchronizeEventWithTimeout",
        "urEventWait", "zeEventHostSynchronize",
    ),
    Call.STREAM_WAIT: ("StreamWaitEvent", "aclrtStreamWaitEvent"),
    Call.EVENT_RECORD: ("EventRecord", "EventRecordWithFlags", "aclrtRecordEvent"),
    Call.QUERY: ("EventQuery", "StreamQuery"),
    Call.FREE: (
        "Free", "FreeHost", "HostFree", "FreeArray", "MemFree", "MemFreeHost", "HostUnregister",
        "MemHostUnregister", "ModuleUnload", "aclrtFree", "aclrtFreeHost",
    ),
}  # fmt: skip
_CALL_OF_NAME = {name: call for call, names in _NAMES.items() for name in names}
_COPY = re.compile(
    r"(cuda|hip|musa|mc|cu|mu|aclrt)Memcpy|urEnqueue\w*Memcpy|zeCommandListAppendMemoryCopy"
)


def call_of(name: str) -> Call:
    """Tell what a host event of that name does."""
    if _COPY.match(name):
        return Call.COPY
    if "::" in name:
        return Call.OTHER
    prefix = _PREFIX.match(name)
    plain = _SUFFIX.sub("", name[prefix.end() :] if prefix else name)
    if prefix is None and not plain.startswith(("aclrt", "ur", "ze")):
        return Call.OTHER
    return _CALL_OF_NAME.get(plain, Call.OTHER)


def calls_of(names: Sequence[str]) -> Bytes:
    """Tell what host events of these names do, shape (names,) and one OTHER for index -1."""
    return np.array([*map(call_of, names), Call.OTHER], dtype=np.uint8)
