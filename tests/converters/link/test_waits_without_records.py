"""What is inferred from times against what `cuda_sync` events tell of the same traces."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from etsim.converters.kineto import read_kineto
from etsim.converters.link.linker import Linked, link
from etsim.converters.link.sync import Certainty

TRACES = ("alexnet_trace", "event_sync", "event_sync_multi_stream")


def both(folder: Path, name: str) -> tuple[Linked, Linked]:
    """Link a trace as recorded, and without its records of waits."""
    path = folder / "traces" / "hta_sync_a100" / f"{name}.json.gz"
    document: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    told = link(read_kineto(path))
    kept = [event for event in document["traceEvents"] if event.get("cat") != "cuda_sync"]
    silent = json.dumps({**document, "traceEvents": kept}).encode()
    return told, link(read_kineto(path, silent))


def targets(linked: Linked) -> dict[int, list[int]]:
    return {row: found for row, (found, _) in linked.reasons.syncs.target_of_row.items()}


@pytest.mark.shared
@pytest.mark.parametrize("name", TRACES)
def test_every_host_wait_is_found_without_its_record(shared_data: Path, name: str) -> None:
    told, inferred = both(shared_data, name)
    assert len(targets(told)) > 0
    assert targets(inferred) == targets(told)


@pytest.mark.shared
def test_every_stream_wait_of_a_network_is_found_without_its_record(shared_data: Path) -> None:
    told, inferred = (
        {(source, target) for source, target, _ in linked.reasons.waits.found}
        for linked in both(shared_data, "alexnet_trace")
    )
    assert len(told) == 6
    assert inferred == told


@pytest.mark.shared
def test_what_times_cannot_tell_is_called_a_guess(shared_data: Path) -> None:
    """Two streams that wait for each other in turn: the inference is wrong here, and says so."""
    told, inferred = both(shared_data, "event_sync_multi_stream")
    assert told.reasons.waits.count(Certainty.RECORDED) == 1
    assert inferred.reasons.waits.count(Certainty.GUESSED) == 1
