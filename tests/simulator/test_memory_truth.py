"""Memory followed through what-ifs against the memory of runs recorded with the change."""

from pathlib import Path

import pytest

from etsim.benchmarks.memory_truth import CASES, Case, record, truth

# a hint cannot tell a length of 64 from heads of 64; two runs can
AMBIGUOUS = {"length 64 → 192": 0.12}
LARGEST_ERROR = 0.01


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("memory")
    record(folder)
    return folder


@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.parametrize("case", [pytest.param(case, id=case.told) for case in CASES])
def test_followed_memory_is_that_of_the_run_recorded_with_the_change(
    case: Case, runs: Path
) -> None:
    found = truth(runs, case)
    assert found.recorded.peak_bytes == pytest.approx(found.allocated, rel=LARGEST_ERROR)
    assert abs(found.error) < AMBIGUOUS.get(case.told, LARGEST_ERROR)
