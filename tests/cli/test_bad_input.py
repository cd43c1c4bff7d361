"""Bad input: one line that says what, where and how to mend it; an exit code; no part of a file.

Every case is a file as users have them: cut by a full disk, swapped, of another run, renamed.
"""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from etsim.tests.cli.caller import Said, call, call_apart
from etsim.tests.kineto_maker import Recording, write_json

Breaker = Callable[[Path, bytes], None]


def run(pid: int = 100, names: tuple[str, ...] = ("aten::mm", "aten::relu")) -> Recording:
    made = Recording(pid=pid)
    for index in range(40):
        made.op(names[index % len(names)], 10 * index, 10 * index + 8, shapes=[[4, 4]])
    return made


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return run().write(tmp_path)


def convert(folder: Path, et: Path | str, trace: Path | str, name: str = "out.et") -> Said:
    said = call("convert", "--et", et, "--trace", trace, "-o", folder / name)
    if said.code:
        left = [path.name for path in folder.iterdir() if "out" in path.name]
        assert left == [], "a refused conversion leaves nothing behind"
    return said


def missing(path: Path, _: bytes) -> None:
    path.unlink()


def empty(path: Path, _: bytes) -> None:
    path.write_bytes(b"")


def empty_gzip(path: Path, _: bytes) -> None:
    path.write_bytes(gzip.compress(b""))


def cut(path: Path, data: bytes) -> None:
    path.write_bytes(data[: len(data) // 2])


def cut_by_one(path: Path, data: bytes) -> None:
    path.write_bytes(data[:-1])


def cut_gzip(path: Path, data: bytes) -> None:
    packed = gzip.compress(data)
    path.write_bytes(packed[: len(packed) // 2])


def gzip_of_a_cut_file(path: Path, data: bytes) -> None:
    path.write_bytes(gzip.compress(data[: len(data) // 2]))


def garbled_gzip(path: Path, data: bytes) -> None:
    packed = bytearray(gzip.compress(data))
    packed[len(packed) // 2] ^= 0xFF
    path.write_bytes(bytes(packed))


def text(path: Path, _: bytes) -> None:
    path.write_text("Epoch 1: loss 0.3\n")


def other_json(path: Path, _: bytes) -> None:
    path.write_text('{"model": "mlp"}')


def json_list(path: Path, _: bytes) -> None:
    path.write_text("[1, 2, 3]")


def bad_json(path: Path, data: bytes) -> None:
    path.write_bytes(data.replace(b'"name":', b"name:", 1))


def not_unicode(path: Path, data: bytes) -> None:
    path.write_bytes(data.replace(b"aten::mm", b"aten::\xff\xfe"))


def binary(path: Path, _: bytes) -> None:
    path.write_bytes(bytes(range(256)))


def folder(path: Path, _: bytes) -> None:
    path.unlink()
    path.mkdir()


BREAKERS: dict[Breaker, str] = {
    missing: "no such file", empty: "is empty", empty_gzip: "is empty", cut: "is cut after",
    cut_by_one: "is cut after", cut_gzip: "gzip stream is cut", gzip_of_a_cut_file: "is cut after",
    garbled_gzip: "gzip stream is", text: "neither JSON nor Chakra", other_json: "JSON of another",
    json_list: "JSON of another kind", bad_json: "is not", not_unicode: "is not",
    binary: "neither JSON nor Chakra", folder: "the folder holds no",
}  # fmt: skip


@pytest.mark.parametrize("broken", BREAKERS, ids=lambda breaker: breaker.__name__)
@pytest.mark.parametrize("side", [0, 1], ids=["et", "trace"])
def test_a_broken_file_of_a_pair(
    tmp_path: Path, pair: tuple[Path, Path], broken: Breaker, side: int
) -> None:
    broken(pair[side], pair[side].read_bytes())
    line = convert(tmp_path, *pair).fault(3)
    assert BREAKERS[broken] in line
    assert str(pair[side]) in line


@pytest.mark.parametrize("broken", BREAKERS, ids=lambda breaker: breaker.__name__)
def test_a_broken_file_asked_for_a_prediction(tmp_path: Path, broken: Breaker) -> None:
    trace = write_json(tmp_path / "trace.json", run().kineto())
    broken(trace, trace.read_bytes())
    said = call("predict", "--et", trace, "--hw", "a100")
    assert str(trace) in said.fault(3)


def test_the_two_files_swapped(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    et, trace = pair
    line = convert(tmp_path, trace, et).fault(3)
    assert "is a Kineto trace, not an execution trace (swap --et and --trace?)" in line
    assert "swap" in call("convert", "--trace", et, "-o", tmp_path / "out.et").fault(3)


def test_two_files_of_different_runs(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    _, other = run(pid=200, names=("aten::conv2d", "aten::add")).write(tmp_path, "other")
    line = convert(tmp_path, pair[0], other).fault(3)
    assert "two runs?" in line
    assert "--allow-partial" in line


def test_all_ids_zero(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    made = run(names=("aten::conv2d", "aten::add"))
    for event in made.events:
        event["args"].update({"Record function id": 0, "External id": 0})
    trace = write_json(tmp_path / "zero.json", made.kineto())
    line = convert(tmp_path, pair[0], trace).fault(3)
    assert "'Record function id' values are 0" in line
    assert "etsim capture" in line


def test_ids_of_zero_but_equal_names_are_joined_by_order(
    tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    made = run()
    for event in made.events:
        event["args"].update({"Record function id": 0, "External id": 0})
    said = convert(tmp_path, pair[0], write_json(tmp_path / "zero.json", made.kineto()))
    assert said.code == 0
    assert "joined by order of names: 40 of 40" in said.out


def test_an_unknown_schema(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    document = json.loads(pair[0].read_bytes())
    write_json(pair[0], {**document, "schema": "9.9"})
    assert "has schema '9.9'; known are 1.0.1" in convert(tmp_path, *pair).fault(3)


def test_a_trace_that_holds_nothing(tmp_path: Path) -> None:
    trace = write_json(tmp_path / "trace.json", {"traceEvents": []})
    said = call("predict", "--et", trace, "--hw", "a100")
    assert "record with activities CPU and CUDA" in said.fault(3)


# ranks


def ranks(folder: Path, *numbers: int, own: dict[int, int] | None = None) -> tuple[str, str]:
    for number in numbers:
        made = run()
        made.rank, made.world_size = (own or {}).get(number, number), len(numbers)
        write_json(folder / f"et_r{number}.json", made.execution_trace())
        write_json(folder / f"tr_r{number}.json", made.kineto())
    return str(folder / "et_r*.json"), str(folder / "tr_r*.json")


def test_a_rank_that_is_missing_on_one_side(tmp_path: Path) -> None:
    et, trace = ranks(tmp_path, 0, 1, 2)
    (tmp_path / "tr_r1.json").unlink()
    line = convert(tmp_path, et, trace).fault(3)
    assert "rank 1 has no file among --trace" in line
    assert "of --trace: 0, 2" in line


def test_ranks_that_collide_by_name(tmp_path: Path) -> None:
    et, trace = ranks(tmp_path, 0, 1)
    (tmp_path / "et_r1.json").rename(tmp_path / "et_r0.again.json")
    assert "is of rank 0, as is" in convert(tmp_path, et, trace).fault(3)


def test_ranks_that_collide_by_what_the_traces_say(tmp_path: Path) -> None:
    et, trace = ranks(tmp_path, 0, 1, own={0: 0, 1: 0})
    assert "is of rank 0, as is" in convert(tmp_path, et, trace).fault(3)


@pytest.mark.parametrize("profile", ["etsim", "astra"])
def test_a_rank_that_is_damaged_leaves_no_file_of_the_others(tmp_path: Path, profile: str) -> None:
    et, trace = ranks(tmp_path, 0, 1, 2)
    cut(tmp_path / "tr_r2.json", (tmp_path / "tr_r2.json").read_bytes())
    old = tmp_path / "run.0.et"
    old.write_text("of before")
    names = sorted(path.name for path in tmp_path.iterdir())
    output = ("-o", tmp_path / "run.et", "--profile", profile)
    assert "is cut after" in call("convert", "--et", et, "--trace", trace, *output).fault(3)
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert old.read_text() == "of before"


def test_a_pattern_that_matches_nothing(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    line = convert(tmp_path, pair[0], tmp_path / "nothing_*.json").fault(3)
    assert "no file matches (given with --trace)" in line


# .et files


@pytest.fixture
def mlp_bytes(mlp: Path) -> bytes:
    return mlp.read_bytes()


@pytest.mark.parametrize("share", [0.001, 0.01, 0.3, 0.5, 0.9, 0.9999])
def test_an_et_file_cut_in_the_middle(tmp_path: Path, mlp_bytes: bytes, share: float) -> None:
    path = tmp_path / "cut.et"
    path.write_bytes(mlp_bytes[: int(len(mlp_bytes) * share)])
    for verb in (("predict", "--et", path, "--hw", "a100"), ("inspect", path)):
        assert str(path) in call(*verb).fault(3)


def test_an_et_file_with_a_flipped_byte_is_read_or_told(tmp_path: Path, mlp_bytes: bytes) -> None:
    """Some flips only change a figure; none may end in a traceback."""
    path = tmp_path / "flipped.et"
    for place in range(100, len(mlp_bytes), len(mlp_bytes) // 10):
        flipped = bytearray(mlp_bytes)
        flipped[place] ^= 0x55
        path.write_bytes(bytes(flipped))
        said = call("inspect", path)
        if said.code:
            said.fault(3)


def test_an_execution_trace_where_a_converted_run_is_wanted(pair: tuple[Path, Path]) -> None:
    line = call("predict", "--et", pair[0], "--hw", "a100").fault(3)
    assert "join it with its Kineto trace first: etsim convert" in line


# hardware


@pytest.fixture
def et(tmp_path: Path, mlp_bytes: bytes) -> Path:
    path = tmp_path / "mlp.et"
    path.write_bytes(mlp_bytes)
    return path


def test_a_yaml_with_all_kinds_of_faults_tells_them_at_once(tmp_path: Path, et: Path) -> None:
    spec = tmp_path / "mine.yaml"
    spec.write_text(
        "name: mine\nkind: gpu\nvendor: v\narchitecture: a\nsource: s\n"
        "peak: {fp16: 312 GB/s}\n"  # wrong unit
        "memory: {size: -80 GiB, bandwidth: 2 TB/s, type: HBM}\n"  # negative
        "cores: 10\nclok: 1 GHz\n"  # unknown key
    )
    line = call("predict", "--et", et, "--hw", spec).fault(3)
    assert line.startswith(f"error: {spec}: ")
    for key in ("peak.fp16", "memory.size", "clok"):
        assert key in line
    assert "did you mean 'clock'" in line


@pytest.mark.parametrize("content", ["", "- a list", "name: [", "\t", "just text", "a: 1\na: 2"])
def test_a_yaml_that_is_no_spec(tmp_path: Path, et: Path, content: str) -> None:
    spec = tmp_path / "mine.yaml"
    spec.write_text(content)
    assert str(spec) in call("predict", "--et", et, "--hw", spec).fault(3)


def test_an_unknown_name_is_told_with_the_nearest(et: Path) -> None:
    line = call("predict", "--et", et, "--hw", "h10").fault(3)
    assert "no device named 'h10'" in line
    assert "h100" in line


def test_a_spec_file_that_is_not_there(tmp_path: Path, et: Path) -> None:
    line = call("predict", "--et", et, "--hw", tmp_path / "none.yaml").fault(3)
    assert "none.yaml" in line


def test_a_trace_given_as_hardware(et: Path) -> None:
    call("predict", "--et", et, "--hw", et).fault(3)
    call("predict", "--et", et, "--hw", et.parent).fault(3)


def test_no_hardware_at_all(et: Path) -> None:
    assert "Missing option '--hw'" in call("predict", "--et", et).fault(2)


@pytest.mark.parametrize("scale", ["kernel", "kernel=x", "kernel=-1", "nope=2", "name:zzz=2", "=2"])
def test_a_scale_that_means_nothing(et: Path, scale: str) -> None:
    assert "--scale" in call("predict", "--et", et, "--hw", "source", "--scale", scale).fault(2)


# where to write


def test_a_folder_that_is_not_there(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    line = convert(tmp_path, *pair, name="none/run.et").fault(2)
    assert "is not there (make it first)" in line
    assert not (tmp_path / "none").exists()


def test_a_folder_instead_of_a_file(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    (tmp_path / "taken").mkdir()
    assert "is a folder" in convert(tmp_path, *pair, name="taken").fault(2)
    assert list((tmp_path / "taken").iterdir()) == []


def test_a_refused_conversion_leaves_an_older_result_alone(
    tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    result = tmp_path / "result.et"
    result.write_bytes(b"older")
    cut(pair[1], pair[1].read_bytes())
    call("convert", "--et", pair[0], "--trace", pair[1], "-o", result).fault(3)
    assert result.read_bytes() == b"older"
    assert {p.name for p in tmp_path.iterdir()} == {pair[0].name, pair[1].name, "result.et"}


# as a user types it


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("predict", "--et", "none.et", "--hw", "a100"), 3),
        (("predict", "--et", "cut.json", "--hw", "a100"), 3),
        (("predict", "--et", "run.trace.json"), 2),
        (("convert", "--et", "run.trace.json", "--trace", "run.et.json", "-o", "out.et"), 3),
    ],
)
def test_in_a_process_of_its_own(
    tmp_path: Path, pair: tuple[Path, Path], arguments: tuple[str, ...], code: int
) -> None:
    (tmp_path / "cut.json").write_bytes(pair[1].read_bytes()[:500])
    call_apart(*arguments, folder=tmp_path).fault(code)
    assert not (tmp_path / "out.et").exists()
