"""The shared link: even shares, one number for all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etsim.simulator.serving.lines import TICKS_PER_NS
from etsim.simulator.serving.link import SharedLink
from etsim.simulator.serving.settings import KvLink


def drain(link: SharedLink, arrivals: list[tuple[int, float]]) -> dict[int, float]:
    """Run transfers of (start ns, bytes); give each one's end in ns."""
    ends: dict[int, float] = {}
    waiting = sorted((when * TICKS_PER_NS, i, size) for i, (when, size) in enumerate(arrivals))
    while waiting or link.next_end() != -1:
        following = link.next_end()
        if waiting and (following == -1 or waiting[0][0] <= following):
            now, request, size = waiting.pop(0)
            link.start(now, request, size)
        else:
            ends[link.take_ended(following)] = following / TICKS_PER_NS
    return ends


def test_two_equal_transfers_take_twice_as_long() -> None:
    """1 byte/ns: 100 bytes each from 0 on end together at 200."""
    ends = drain(SharedLink(KvLink(1e9, 1e9, 1.0, 1)), [(0, 100), (0, 100)])
    assert list(ends.values()) == pytest.approx([200, 200], abs=1e-3)


def test_a_short_transfer_overtakes_a_long_one() -> None:
    """Long 100 from 0; short 20 from 40: shared until 80, long has 40 left then."""
    ends = drain(SharedLink(KvLink(1e9, 1e9, 1.0, 1)), [(0, 100), (40, 20)])
    assert ends[1] == pytest.approx(80, abs=1e-3)
    assert ends[0] == pytest.approx(120, abs=1e-3)


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(1, 300)), min_size=1, max_size=12),
    st.sampled_from([1.0, 2.0, 100.0]),
)
def test_bytes_are_neither_lost_nor_made(rows: list[tuple[int, int]], total: float) -> None:
    link = SharedLink(KvLink(total * 1e9, 1e9, 1.0, 1))
    ends = drain(link, [(when, float(size)) for when, size in rows])
    assert len(ends) == len(rows)
    for i, (when, size) in enumerate(rows):
        assert ends[i] >= when + size - 1e-3  # never faster than one transfer alone
    assert link.busy / TICKS_PER_NS * total >= sum(size for _when, size in rows) * (1 - 1e-6)
