"""What-ifs against runs recorded with and without the change, on this machine's CPU.

Runs of two processes are at the mercy of whatever else the machine does: they are marked `noisy`
and judged only when asked for, `pytest -m noisy` on a machine with nothing else to do.
"""

from collections.abc import Mapping

import pytest

from etsim.benchmarks.whatif_truth import CASES, Case, Truth, record, truth

ATTEMPTS, ROUNDS, STEPS = 3, 2, 3


@pytest.fixture(scope="module")
def found(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Truth]:
    """Record until every sign asked for is right, at most three times: other load makes it slow."""
    folder = tmp_path_factory.mktemp("pairs")
    chosen = {item.name for item in request.session.items}
    asked = [case for case in CASES if any(case.told in name for name in chosen)]
    truths: dict[str, Truth] = {}
    for attempt in range(ATTEMPTS):
        record(folder, ROUNDS, STEPS, first=attempt * ROUNDS)
        truths = {case.told: truth(folder, case) for case in CASES}
        if all(truths[case.told].sign_is_right for case in asked):
            break
    return truths


@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case,
            id=case.told,
            marks=pytest.mark.noisy if max(case.ranks, case.target_ranks) > 1 else (),
        )
        for case in CASES
    ],
)
def test_a_change_goes_the_way_that_was_measured(case: Case, found: Mapping[str, Truth]) -> None:
    judged = found[case.told]
    assert judged.sign_is_right, f"predicted {judged.predicted}, measured {judged.measured}"
    assert 0.4 < judged.predicted / judged.measured < 2.5
