"""`etsim calibrate` and `etsim validate --table`: a table in, a spec out, clear refusals."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from etsim.cli.calibrate import command as calibrate
from etsim.cli.validate import command as validate
from etsim.models.errors import TraceFormatError, UsageError
from etsim.models.specs import load


def table(path: Path, count: int = 12) -> Path:
    """Write a table of products of one size each, 10 us and more."""
    rows = [f"aten::mm,bf16,{256 * i},1024,1024,{10 + i}" for i in range(1, count + 1)]
    path.write_text("name,dtype,m,n,k,us\n" + "\n".join(rows) + "\n")
    return path


def test_a_table_becomes_a_spec_that_loads(tmp_path: Path) -> None:
    out = tmp_path / "mine.yaml"
    csv = table(tmp_path / "a.csv")
    done = CliRunner().invoke(
        calibrate, ["--hw", "a100-sxm-80gb", "--csv", str(csv), "-o", str(out)],
        catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0
    assert "Fitted matmul of a100-sxm-80gb to 12 kernels" in done.output
    mine = load(str(out))
    assert mine.name == "mine"
    assert "constants" in mine.calibration
    judged = CliRunner().invoke(
        validate, ["--table", str(csv), "--hw", str(out)], catch_exceptions=False
    )
    assert "12 kernels on mine: median error" in judged.output


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name,dtype,shapes\naten::mm,bf16,2x3 3x4\n", "no column that tells a time"),
        ("name,shapes,us\naten::mm,2x3 3x4,5\n", "no column dtype"),
        ("name,dtype,us\naten::mm,bf16,5\n", "no column shapes"),
        ("name,dtype,shapes,us\naten::mm,bf17,2x3 3x4,5\n", "unknown dtype 'bf17'"),
        ("name,dtype,shapes,us\naten::mm,bf16,2by3,5\n", "not like 8x16"),
        ("name,dtype,shapes,us\naten::mm,bf16,2x3 3x4,-5\n", "is not above 0"),
    ],
)
def test_a_faulty_table_is_told_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(TraceFormatError, match=told):
        CliRunner().invoke(
            calibrate, ["--hw", "t4", "--csv", str(path)], catch_exceptions=False,
            standalone_mode=False,
        )  # fmt: skip


def test_an_nccl_log_gives_a_law(tmp_path: Path) -> None:
    log = tmp_path / "all_reduce_perf.log"
    head = "# Collective test starting: all_reduce_perf\n" + "".join(
        f"#  Rank  {i} Group  0 Pid {i} on host device {i} NVIDIA H100\n" for i in range(8)
    )
    rows = "".join(
        f" {1 << p} {1 << (p - 2)} float sum -1 {9 + (1 << p) / 2e5:.2f} 1.0 1.0 0\n"
        for p in range(12, 26)
    )
    log.write_text(head + rows)
    done = CliRunner().invoke(
        calibrate, ["--hw", "h100-sxm", "--nccl", str(log)], catch_exceptions=False
    )
    assert "all_reduce" in done.output
    assert "14 messages" in done.output


def test_nothing_measured_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing measured"):
        CliRunner().invoke(calibrate, ["--hw", "t4"], catch_exceptions=False, standalone_mode=False)
