"""A scrubbed trace names no machine and keeps its times."""

import json

from etsim.converters.scrub import scrub


def test_what_names_the_machine_goes_and_the_rest_stays() -> None:
    event = {"ph": "X", "name": "aten::mm", "ts": 4360868952789.003, "dur": 0.001, "args": {}}
    kept = {"schemaVersion": 1, "traceEvents": [event], "distributedInfo": {"rank": 0}}
    named = {
        "host_name": "box",
        "traceName": "a.json",
        "trace_id": "753E",
        "PT_PROFILER_JOB_NAME": "secret",
        "PT_PROFILER_JOB_VERSION": "3",
    }
    scrubbed = scrub(json.dumps(named | kept))
    assert json.loads(scrubbed) == kept
    assert '"ts":4360868952789.003,' in scrubbed
