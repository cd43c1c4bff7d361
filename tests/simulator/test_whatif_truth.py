"""What-ifs against runs recorded with and without the change, on this machine's CPU."""

from collections.abc import Mapping

import pytest

from etsim.benchmarks.whatif_truth import CASES, Case, Truth, record, truth

ATTEMPTS, ROUNDS, STEPS = 3, 2, 3


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Truth]:
    """Record until every sign is right, at most three times: other load makes steps longer."""
    folder = tmp_path_factory.mktemp("pairs")
    truths: dict[str, Truth] = {}
    for attempt in range(ATTEMPTS):
        record(folder, ROUNDS, STEPS, first=attempt * ROUNDS)
        truths = {case.told: truth(folder, case) for case in CASES}
        if all(each.sign_is_right for each in truths.values()):
            break
    return truths


@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.told)
def test_a_change_goes_the_way_that_was_measured(case: Case, found: Mapping[str, Truth]) -> None:
    judged = found[case.told]
    assert judged.sign_is_right, f"predicted {judged.predicted}, measured {judged.measured}"
    assert 0.4 < judged.predicted / judged.measured < 2.5
