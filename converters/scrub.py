"""Take what names the machine out of a Kineto trace, so that it can be shown to others."""

import json

# What Kineto writes about the machine and this one run; nothing of it is about the work.
MACHINE_KEYS = frozenset({"host_name", "traceName", "trace_id"})
JOB_KEYS = "PT_PROFILER_JOB_"  # copied from the environment


def scrub(trace: str) -> str:
    """Leave out host, path, ids and job names; every event stays as it is.

    Times keep their nanoseconds in the traces that torch writes since May 2024, which count from
    `baseTimeNanoseconds`; those before count from 1970, beyond a float's exact thousandths.
    """
    content: dict[str, object] = json.loads(trace)
    kept = {
        key: value
        for key, value in content.items()
        if key not in MACHINE_KEYS and not key.startswith(JOB_KEYS)
    }
    return json.dumps(kept, separators=(",", ":"))
