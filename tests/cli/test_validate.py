"""`etsim validate` on the measured pair of traces."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from etsim.cli.validate import command
from etsim.models.errors import UsageError


@pytest.mark.shared
def test_a_pair_of_traces_gives_errors_by_category_and_operator(
    shared_data: Path, tmp_path: Path
) -> None:
    pair = shared_data / "traces" / "pair_h100_mi300"
    plot = tmp_path / "p.svg"
    done = CliRunner().invoke(
        command,
        ["--source", str(pair / "h100_bert_small.json.gz"),
         "--target", str(pair / "mi300_bert_small.json.gz"), "--hw", "mi300x", "--json",
         "--plot", str(plot)],
        catch_exceptions=False,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert abs(found["device_busy_error"]) < 0.35
    assert abs(found["step_error"]) < 0.2
    assert 0 <= found["coverage"] <= 1
    assert found["categories"]
    assert found["operators"][0]["measured_ns"] > 0
    assert plot.read_text().startswith("<svg")


def test_neither_traces_nor_a_table_is_refused() -> None:
    with pytest.raises(UsageError, match="give --source and --target"):
        CliRunner().invoke(command, [], catch_exceptions=False, standalone_mode=False)
