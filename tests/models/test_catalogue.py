"""The catalogue: every spec loads, is sourced, and is found by what people and drivers call it."""

import csv
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from etsim.models.errors import InputError
from etsim.models.hardware import DeviceKind, LinkTier
from etsim.models.spec_text import figures_of, spec_yaml
from etsim.models.specs import aliases, catalogue, load, match_device

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "models" / "catalogue"


@pytest.mark.parametrize("name", catalogue())
def test_every_spec_of_the_catalogue_is_good_and_named_as_its_file(name: str) -> None:
    hardware = load(name)
    assert hardware.name == name
    assert set(figures_of(hardware)) <= set(hardware.sources)
    assert all(hardware.sources[key].strip() for key in figures_of(hardware))


@pytest.mark.parametrize("name", catalogue())
def test_what_is_written_reads_back_as_the_same_hardware(name: str, tmp_path: Path) -> None:
    hardware = load(name)
    path = tmp_path / "copy.yaml"
    path.write_text(spec_yaml(hardware), encoding="utf-8")
    assert load(str(path)) == hardware


def test_names_are_found_in_any_case_and_by_alias() -> None:
    assert load("H100-SXM") == load("h100-sxm") == load("h100")
    assert load("a100").name == "a100-sxm-80gb"
    assert not set(aliases()) & set(catalogue())


def test_an_alias_stands_for_one_device() -> None:
    stated = [
        alias
        for path in FOLDER.glob("*.yaml")
        for alias in yaml.safe_load(path.read_text(encoding="utf-8")).get("aliases", [])
    ]
    assert len(stated) == len(set(stated))


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no device named 'h1000'.*did you mean h100 or"):
        load("h1000")


def test_the_example_spec_is_a_dozen_lines_and_good() -> None:
    path = ROOT / "examples" / "a100.yaml"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 12
    example, known = load(str(path)), load("a100-sxm-80gb")
    assert example.device.peak_tflops["bf16"] == known.device.peak_tflops["bf16"]
    assert example.device.memory_bytes == known.device.memory_bytes


@pytest.mark.parametrize(
    ("recorded", "memory_bytes", "name"),
    [
        ("NVIDIA H100 80GB HBM3", 85018279936, "h100-sxm"),
        ("NVIDIA H100 PCIe", 85029158912, "h100-pcie"),
        ("NVIDIA H200", 150_121_545_728, "h200-sxm"),
        ("NVIDIA B200", 191_500_000_000, "b200-sxm"),
        ("NVIDIA A100-SXM4-40GB", 42505273344, "a100-sxm-40gb"),
        ("NVIDIA A100-PG509-200", 42297524224, "a100-sxm-40gb"),
        ("NVIDIA A100-SXM4-80GB", 85_000_000_000, "a100-sxm-80gb"),
        ("A100-SXM4-80GB", 0, "a100-sxm-80gb"),
        ("NVIDIA A100 80GB PCIe", 85_000_000_000, "a100-pcie-80gb"),
        ("Tesla V100-SXM2-32GB", 34079637504, "v100-sxm2-32gb"),
        ("Tesla V100-SXM2-16GB", 16_900_000_000, "v100-sxm2-16gb"),
        ("Tesla T4", 15_600_000_000, "t4"),
        ("NVIDIA L4", 23_600_000_000, "l4"),
        ("NVIDIA L40S", 47_800_000_000, "l40s"),
        ("NVIDIA GeForce RTX 4090", 25_300_000_000, "rtx4090"),
        ("AMD Instinct MI300X VF", 205571227648, "mi300x"),
        ("AMD Instinct MI250X", 68_700_000_000, "mi250x"),
        ("AMD Instinct MI250", 68_700_000_000, "mi250"),
        ("Ascend910B3", 65_000_000_000, "ascend-910b"),
        ("", 206141652992, "mi300x"),
        ("", 68_700_000_000, None),  # MI210, MI250 and MI250X all fit
        ("", 0, None),
        ("NVIDIA L40", 48_000_000_000, None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", 17_000_000_000, None),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", 5_000_000_000, None),
        ("AMD Instinct MI300X", 25_700_000_000, None),  # one of eight partitions
        ("Acme 9000", 1, None),
    ],
)
def test_a_recorded_device_is_found_by_name_and_memory(
    recorded: str, memory_bytes: int, name: str | None
) -> None:
    assert match_device(recorded, memory_bytes) == name


def test_a_newer_generation_is_faster_in_every_figure_that_counts() -> None:
    line = [load(name) for name in ("v100-sxm2-32gb", "a100-sxm-80gb", "h100-sxm", "b200-sxm")]
    for older, newer in pairwise(line):
        assert newer.device.peak_tflops["fp16"] > older.device.peak_tflops["fp16"]
        assert newer.device.memory_bandwidth_gbps > older.device.memory_bandwidth_gbps
        old_link, new_link = older.link(LinkTier.NODE), newer.link(LinkTier.NODE)
        assert old_link is not None
        assert new_link is not None
        assert new_link.bandwidth_gbps > old_link.bandwidth_gbps


def test_the_peak_of_bf16_is_dense() -> None:
    """Datasheets print the sparse rate, twice the dense one, in the larger type."""
    bf16 = {name: load(name).device.peak_tflops["bf16"] for name in ("h100-sxm", "a100", "l4")}
    assert bf16 == {"h100-sxm": 989.4, "a100": 312.0, "l4": 121.0}


def test_the_catalogue_has_all_kinds() -> None:
    assert {load(name).device.kind for name in catalogue()} == set(DeviceKind)


_OTHER_NAMES = {
    "P100": "p100-pcie", "V100": "v100-pcie-16gb", "A100-40": "a100-sxm-40gb",
    "A100-80": "a100-pcie-80gb", "H100": "h100-sxm", "a100_sxm": "a100-sxm-80gb",
    "h100_sxm": "h100-sxm", "h200_sxm": "h200-sxm", "b200_sxm": "b200-sxm",
    "b300_sxm": "b300-sxm", "rtx_pro_6000_server": "rtx-pro-6000",
}  # fmt: skip


@pytest.mark.shared
def test_the_catalogue_agrees_with_the_measured_tables_list(shared_data: Path) -> None:
    """An independent list, entered by hand: 5 % apart at most where both give a figure."""
    columns = {"bf16_tflops": "bf16", "fp8_tflops": "fp8"}
    with (shared_data / "kernels" / "hardware.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["gpu"] != "a40"]
    for row in rows:
        device = load(_OTHER_NAMES.get(row["gpu"], row["gpu"].lower())).device
        assert device.cores == int(row["num_sm"])
        assert device.clock_mhz == pytest.approx(float(row["boost_mhz"]), rel=0.02)
        assert device.memory_bandwidth_gbps == pytest.approx(float(row["mem_bw_gbs"]), rel=0.05)
        for column, dtype in columns.items():
            if row[column]:
                assert device.peak_tflops[dtype] == pytest.approx(float(row[column]), rel=0.05)
