"""Nsight Compute's CSV, in both its forms: kernels that stream memory, and clear refusals."""

from pathlib import Path

import pytest

from etsim.converters.ncu import read_ncu
from etsim.models.errors import TraceFormatError

LONG = """\
==PROF== Connected
"ID","Kernel Name","Metric Name","Metric Unit","Metric Value"
"0","vectorized_elementwise_kernel","gpu__time_duration.sum","usecond","10"
"0","vectorized_elementwise_kernel","dram__bytes.sum","Mbyte","20"
"1","sgemm","gpu__time_duration.sum","usecond","10"
"1","sgemm","dram__bytes.sum","Mbyte","20"
"""
WIDE = """\
"ID","Kernel Name","gpu__time_duration.sum","dram__bytes_read.sum","dram__bytes_write.sum"
"","","ns","byte","byte"
"0","vectorized_elementwise_kernel","10,000","10000000","10000000"
"""


@pytest.mark.parametrize("text", [LONG, WIDE])
def test_a_streaming_kernel_counts_as_a_copy_of_its_traffic(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ncu.csv"
    path.write_text(text)
    (kernel,) = read_ncu(path)
    assert kernel.duration_ns == 10_000
    assert kernel.operator.input_shapes == ((10_000_000,), (10_000_000,))


def test_a_file_without_traffic_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ncu.csv"
    path.write_text("\n".join(line for line in LONG.splitlines() if "dram" not in line))
    with pytest.raises(TraceFormatError, match="dram__bytes"):
        read_ncu(path)


def test_another_csv_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text('"a","b"\n"1","2"\n')
    with pytest.raises(TraceFormatError, match="no kernels of Nsight Compute"):
        read_ncu(path)
