"""Sharing: clocks of routes, what is rounded which way, and links that are alike."""

import numpy as np
import pytest

from etsim.models.errors import InputError
from etsim.simulator.events.sharing import UNITS, RouteState, Sharing
from etsim.simulator.events.traffic import SharedLink, Traffic, Use
from etsim.tests.simulator.events.shared_graphs import CAPACITY, link

NO_ROWS = np.zeros(0, dtype=np.int32)


def traffic(links: int, *flows: dict[int, int]) -> Traffic:
    """Give links of the same capacity and flows that take so much of which."""
    return Traffic(
        tuple(link(name=str(number)) for number in range(links)),
        tuple(tuple(Use(n, use) for n, use in flow.items()) for flow in flows),
        NO_ROWS,
    )


def test_all_that_1_to_24_divide_is_exact() -> None:
    assert all(UNITS % count == 0 for count in range(1, 25))


def test_clocks_round_down_and_ends_up() -> None:
    """25 flows: a nanosecond's 25th is no whole number of units; 1 ns of work takes 25."""
    route = RouteState((0,), given=1, wanted=25, tightest=0, targets=[(UNITS, 0, 0)])
    assert route.finish_ns() == 25
    route.run_clock(1)
    assert route.clock * 25 < UNITS < (route.clock + 1) * 25
    assert route.lost == {0: UNITS - route.clock}
    assert route.finish_ns() == 26  # what was rounded away comes last


def test_a_flow_has_sent_its_work_and_not_what_rounding_up_its_end_would_add() -> None:
    """Half and all of a link: 1 ns of work at 2/3 takes 1.5, so both end at 2."""
    sharing = Sharing(traffic(1, {0: CAPACITY // 2}, {0: CAPACITY}))
    for flow in (0, 1):
        sharing.enter(flow, flow, 1, 0)
    sharing.retime(0)
    assert sharing.next_ns() == 2
    assert sorted(sharing.leave(2)) == [0, 1]
    assert sharing.sent == [UNITS, UNITS]
    assert sharing.next_ns() is None


def test_flows_over_the_same_links_share_a_clock() -> None:
    sharing = Sharing(traffic(2, {0: 5, 1: 5}, {1: 7, 0: 7}, {1: 5}))
    assert [route.links for route in sharing.routes] == [(0, 1), (1,)]
    assert [flow.route for flow in sharing.flows] == [0, 0, 1]


def test_links_that_the_same_flows_cross_alike_are_one() -> None:
    sharing = Sharing(traffic(3, {0: 5, 1: 5, 2: 5}, {0: 7, 1: 7, 2: 6}))
    assert sharing.links[0] is sharing.links[1]
    assert sharing.links[2] is not sharing.links[0]
    assert [[use.link for use in uses] for uses in sharing.uses] == [[0, 2], [0, 2]]


def test_a_change_leaves_routes_alone_that_it_does_not_concern() -> None:
    """a alone on link 0; b and c meet on link 1: a's end is noted once."""
    sharing = Sharing(traffic(2, {0: CAPACITY}, {1: CAPACITY}, {1: CAPACITY - 1}))
    sharing.enter(0, 0, 100, 0)
    sharing.retime(0)
    version = sharing.routes[0].version
    for now, flow in ((5, 1), (7, 2)):
        sharing.enter(flow, flow, 10, now)
        sharing.retime(now)
    assert sharing.routes[0].version == version
    assert sharing.routes[1].given < sharing.routes[1].wanted


@pytest.mark.parametrize(
    ("flows", "said"),
    [
        ((Use(0, 0),), "takes of nic what it cannot give"),
        ((Use(0, CAPACITY + 1),), "takes of nic what it cannot give"),
        ((Use(0, 1), Use(0, 1)), "crosses a link twice"),
        ((Use(1, 1),), "crosses a link that is not there"),
    ],
)
def test_traffic_that_cannot_be_is_refused(flows: tuple[Use, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Traffic((link(),), (flows,), NO_ROWS)


def test_links_without_bandwidth_and_rows_of_no_flow_are_refused() -> None:
    with pytest.raises(InputError, match="has no bandwidth"):
        Traffic((SharedLink("nic", link().tier, 0),), (), NO_ROWS)
    with pytest.raises(InputError, match="a flow that is not there"):
        Traffic((link(),), (), np.zeros(1, dtype=np.int32))
