"""What `etsim breakdown` prints for few and for many ranks."""

import pytest

from etsim.cli.breakdown_text import MOST_GROUPS, MOST_RANKS_ABREAST, Result, show
from etsim.simulator.breakdown.groups import Grouping
from etsim.simulator.breakdown.report import Wanted, break_down
from etsim.tests.timelines import Drawing

MS = 1_000_000


def ranks(count: int, modules: int = 1, by: Grouping = Grouping.RANK) -> Result:
    """Rank r idles r + 1 ms between two kernels that the host launches late."""
    timelines = []
    for rank in range(count):
        drawing = Drawing(rank)
        drawing.device(0, MS, launch=drawing.launch(0, 1))
        late = MS * (rank + 2)
        call = drawing.launch(late - 10, late - 5)
        for number in range(modules):
            start = late + number * MS
            drawing.device(start, start + MS, launch=call, module=f"M{number}")
        timelines.append(drawing.done())
    return Result(break_down(timelines, Wanted(by)), None, by)


def test_few_ranks_stand_abreast(capsys: pytest.CaptureFixture[str]) -> None:
    show(ranks(2))
    out = capsys.readouterr().out
    assert "Rank 1 takes longest: 4.000 ms: 50.0 % computing" in out
    assert "rank 1 ms" in out


def test_many_ranks_are_told_by_the_worst(capsys: pytest.CaptureFixture[str]) -> None:
    show(ranks(MOST_RANKS_ABREAST + 1))
    lines = capsys.readouterr().out.splitlines()
    (host,) = (line for line in lines if line.startswith("host-bound launch"))
    assert host.split()[-2:] == ["9.000", "8"]


def test_long_tables_say_how_much_they_leave_out(capsys: pytest.CaptureFixture[str]) -> None:
    show(ranks(1, MOST_GROUPS + 5, Grouping.MODULE))
    assert "... and 6 more; --csv has all" in capsys.readouterr().out
