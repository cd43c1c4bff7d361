"""Measuring operators with torch on this machine's CPU: a table that a calibration can read."""

from pathlib import Path

import pytest

from etsim.converters.measure import Probe, measure, probes
from etsim.converters.measured_kernels import read_measured_kernels
from etsim.models.errors import TraceFormatError

SMALL = [Probe("mm", "float32", ((8, 8), (8, 8))), Probe("softmax", "float32", ((4, 8),))]


@pytest.mark.torch
def test_what_is_measured_can_be_read_again(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    path = tmp_path / "measured.csv"
    path.write_text(measure(SMALL, progress=lambda done, of: told.append((done, of))))
    kernels = read_measured_kernels(path)
    assert [kernel.operator.name for kernel in kernels] == ["aten::mm", "aten::softmax"]
    assert kernels[0].operator.input_shapes == ((8, 8), (8, 8))
    assert all(kernel.duration_ns > 0 for kernel in kernels)
    assert told == [(1, 2), (2, 2)]


def test_the_probes_stay_below_the_largest_side() -> None:
    products = [probe for probe in probes(256, ("float32",)) if probe.name == "mm"]
    assert max(max(shape) for probe in products for shape in probe.shapes) == 256


@pytest.mark.parametrize("shapes", ["8x16 16x32", '"[[8, 16], [16, 32]]"', '"((8,16),(16,32))"'])
def test_shapes_are_read_in_both_spellings(tmp_path: Path, shapes: str) -> None:
    path = tmp_path / "measured.csv"
    path.write_text(f"name,dtype,shapes,us\naten::mm,bf16,{shapes},5\n")
    assert read_measured_kernels(path)[0].operator.input_shapes == ((8, 16), (16, 32))


def test_a_table_without_rows_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "measured.csv"
    path.write_text("name,dtype,shapes,us\n")
    with pytest.raises(TraceFormatError, match="holds no measured kernel"):
        read_measured_kernels(path)
