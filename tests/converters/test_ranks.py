"""Which file belongs to which rank: by name, each once, both sides complete."""

from pathlib import Path

import pytest

from etsim.converters.ranks import by_rank, expand, paired, rank_in_name
from etsim.models.errors import InputError, RankError
from etsim.models.graph import NONE


@pytest.mark.parametrize(
    ("name", "rank"),
    [
        ("ddp.et.3.json.gz", 3),
        ("run.12.et", 12),
        ("et_r7.json", 7),
        ("rank-0.Apr_03_18_51_38.1102.pt.trace.json.gz", 0),
        ("rank_5_trace.json", 5),
        ("worker4_step_12.1694128201547.pt.trace.json", 4),
        ("dlrm_eg_6.json", 6),
        ("1690-TP-2-DECODE.trace.json.gz", 2),
        ("model_tp3.json", 3),
        ("mlp.et.json.gz", NONE),
        ("trace.json", NONE),
        ("nccl_data.json.gz", NONE),
    ],
)
def test_ranks_as_profilers_and_people_write_them(name: str, rank: int) -> None:
    assert rank_in_name(Path("folder7") / name) == rank


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text("x")


def test_a_pattern_gives_natural_order(tmp_path: Path) -> None:
    fill(tmp_path, "r10.json", "r9.json", "r1.json")
    found = expand([str(tmp_path / "r*.json")], "--et")
    assert [path.name for path in found] == ["r1.json", "r9.json", "r10.json"]


def test_a_folder_gives_its_traces_and_nothing_else(tmp_path: Path) -> None:
    fill(tmp_path, "a.0.et", "b.json", "c.json.gz", "notes.txt", "d.pdf")
    found = expand([str(tmp_path)], "--et")
    assert [path.name for path in found] == ["a.0.et", "b.json", "c.json.gz"]


def test_a_file_named_twice_is_taken_once(tmp_path: Path) -> None:
    fill(tmp_path, "r1.json", "r2.json")
    found = expand([str(tmp_path / "r1.json"), str(tmp_path / "r*.json")], "--et")
    assert [path.name for path in found] == ["r1.json", "r2.json"]


def test_a_name_with_brackets_is_a_file_where_there_is_one(tmp_path: Path) -> None:
    fill(tmp_path, "run[1].json")
    assert len(expand([str(tmp_path / "run[1].json")], "--et")) == 1


@pytest.mark.parametrize(("pattern", "told"), [("x*.json", "no file matches"), ("x", "no such")])
def test_what_matches_nothing_is_told_with_its_option(
    tmp_path: Path, pattern: str, told: str
) -> None:
    with pytest.raises(InputError, match=told) as caught:
        expand([str(tmp_path / pattern)], "--trace")
    assert "--trace" in caught.value.line()


def test_a_name_too_long_for_the_system_is_told() -> None:
    with pytest.raises(InputError):
        expand(["x" * 5000], "--et")


def test_a_folder_without_traces_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no \.et or \.json"):
        expand([str(tmp_path)], "--et")


A, B, C = Path("a"), Path("b"), Path("c")


def test_files_that_tell_no_rank_are_numbered() -> None:
    assert by_rank([A, B], [NONE, NONE], "--et") == {0: A, 1: B}


def test_two_files_of_one_rank_collide() -> None:
    with pytest.raises(RankError, match="is of rank 3, as is a"):
        by_rank([A, B], [3, 3], "--et")


def test_where_only_some_tell_their_rank_nobody_guesses() -> None:
    with pytest.raises(RankError, match="this one does not") as caught:
        by_rank([A, B], [0, NONE], "--et")
    assert caught.value.where == "b"


def test_ranks_that_only_one_side_has_are_told() -> None:
    assert paired({0: A, 1: B}, {1: C, 0: A}) == [(0, A, A), (1, B, C)]
    with pytest.raises(RankError, match="rank 1 has no file among --trace"):
        paired({0: A, 1: B}, {0: A})
    with pytest.raises(RankError, match="rank 2 has no file among --et") as caught:
        paired({0: A}, {0: A, 2: C})
    assert "ranks of --et: 0; of --trace: 0, 2" in caught.value.line()
