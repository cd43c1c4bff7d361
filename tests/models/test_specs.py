"""Hardware specs: what a file may say, what is filled in, and that all faults are told at once."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from etsim.models import spec_file
from etsim.models.errors import InputError, SpecError
from etsim.models.hardware import DeviceKind, Hardware, LinkTier
from etsim.models.specs import EFFICIENCY_DEFAULTS, load

SMALL = """\
name: small
kind: gpu
vendor: Acme
architecture: one
source: Acme datasheet
peak: {fp32: 2 TFLOP/s, bf16: 8 TFLOP/s}
memory: {size: 4 GiB, bandwidth: 100 GB/s, type: HBM9}
cores: 10
clock: 1000 MHz
"""


def _write(folder: Path, text: str, name: str = "spec.yaml") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def _load(folder: Path, text: str) -> Hardware:
    return load(_write(folder, text))


def _faults(folder: Path, text: str) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        _load(folder, text)
    return caught.value.faults


def test_nine_lines_of_a_datasheet_make_a_hardware(tmp_path: Path) -> None:
    hardware = _load(tmp_path, SMALL)
    device = hardware.device
    assert hardware.name == "small"
    assert device.kind is DeviceKind.GPU
    assert device.peak_tflops["bf16"] == 8.0
    assert device.memory_bytes == 4 * 2**30
    assert device.memory_bandwidth_gbps == 100.0
    assert device.clock_mhz == 1000.0


def test_what_a_file_leaves_out_is_filled_and_marked_with_its_reason(tmp_path: Path) -> None:
    hardware = _load(tmp_path, SMALL)
    assert "launch_latency" in hardware.defaulted
    assert hardware.sources["launch_latency"].startswith("default: traces")
    assert "memory.size" not in hardware.defaulted
    assert hardware.sources["memory.size"] == "Acme datasheet"
    assert set(hardware.device.efficiency) == set(EFFICIENCY_DEFAULTS)
    assert hardware.defaulted <= set(hardware.sources)
    assert hardware.price_usd_per_hour is None


def test_vector_rate_and_lanes_follow_from_what_is_given(tmp_path: Path) -> None:
    """2 TFLOP/s / (10 cores x 1 GHz x 2) = 100 lanes."""
    device = _load(tmp_path, SMALL).device
    assert device.vector_tflops == {"fp32": 2.0}
    assert device.fp32_lanes_per_core == pytest.approx(100.0)


def test_a_device_without_a_matrix_unit_peaks_at_its_vector_rate(tmp_path: Path) -> None:
    text = SMALL.replace(
        "peak: {fp32: 2 TFLOP/s, bf16: 8 TFLOP/s}", "vector: {fp32: 3 TFLOP/s, fp16: 6 TFLOP/s}"
    )
    assert _load(tmp_path, text).device.peak_tflops == {"fp32": 3.0, "fp16": 6.0}


def test_an_accelerator_has_a_node_link_only_where_its_file_says_so(tmp_path: Path) -> None:
    assert _load(tmp_path, SMALL).link(LinkTier.NODE) is None
    node = _load(tmp_path, SMALL + "links: {node: {bandwidth: 40 GB/s}}\n").link(LinkTier.NODE)
    assert node is not None
    assert (node.bandwidth_gbps, node.latency_ns, node.max_devices) == (40.0, 800, 8)


def test_a_cpu_launches_nothing_and_has_no_host_link(tmp_path: Path) -> None:
    hardware = _load(tmp_path, SMALL.replace("kind: gpu", "kind: cpu"))
    assert hardware.device.launch_latency_ns == 0
    assert hardware.host.launch_cost_ns == 0
    assert hardware.link(LinkTier.HOST) is None
    assert hardware.link(LinkTier.NODE) is not None


def test_a_source_may_be_given_by_key_or_by_table(tmp_path: Path) -> None:
    sources = "sources: {peak: a paper, peak.bf16: a test, memory: {size: a label}}\n"
    hardware = _load(tmp_path, SMALL + sources)
    assert hardware.sources["peak.fp32"] == "a paper"
    assert hardware.sources["peak.bf16"] == "a test"
    assert hardware.sources["memory.size"] == "a label"
    assert hardware.sources["memory.bandwidth"] == "Acme datasheet"


def test_a_spec_like_another_keeps_what_it_does_not_say_and_its_source(tmp_path: Path) -> None:
    _write(tmp_path, SMALL + "price: 3 USD/h\ncalibration: {fit: 1}\n", "base.yaml")
    text = "name: big\nlike: base.yaml\nsource: guess\nmemory: {size: 8 GiB}\n"
    hardware = _load(tmp_path, text)
    assert hardware.device.memory_bytes == 8 * 2**30
    assert hardware.device.memory_bandwidth_gbps == 100.0
    assert hardware.sources["memory.size"] == "guess"
    assert hardware.sources["memory.bandwidth"] == "Acme datasheet"
    assert hardware.price_usd_per_hour == 3.0
    assert hardware.calibration == {}


def test_specs_like_each_other_are_refused(tmp_path: Path) -> None:
    _write(tmp_path, SMALL + "like: spec.yaml\n", "base.yaml")
    with pytest.raises(SpecError, match="leads back to this file"):
        _load(tmp_path, SMALL + "like: base.yaml\n")


def test_faults_of_the_base_are_told_under_its_own_path(tmp_path: Path) -> None:
    _write(tmp_path, SMALL + "nonsense: 1\n", "base.yaml")
    with pytest.raises(SpecError, match=r"base\.yaml: nonsense"):
        _load(tmp_path, "name: b\nlike: base.yaml\nsource: s\n")


def test_calibration_is_kept_as_it_stands(tmp_path: Path) -> None:
    text = SMALL + "calibration: {matmul: {scale: 1.1, interval: [1.0, 1.2]}}\n"
    calibration = _load(tmp_path, text).calibration
    assert calibration == {"matmul": {"scale": 1.1, "interval": [1.0, 1.2]}}


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    faults = _faults(
        tmp_path,
        """\
name: 4090
kind: tpu
vendor: Acme
source: s
like: l5
peek: {}
peak: {bf17: 3 TFLOP/s, fp32: -1 TFLOP/s}
memory: {size: 80, bandwidth: 2.0 TB, typ: a}
efficiency: {matmul.compute: 1.2, matmul.memori: 0.5}
links: {node: {latency: 3 us}, network: fast}
tdp: 3 W
clock: 0 GHz
cores: 1.5
l2:
sources: {peakk: x, l2: y, source: ""}
""",
    )
    assert faults == {
        "name": 'must be text; write it in quotes: "4090"',
        "kind": "must be gpu, npu or cpu, is 'tpu'",
        "like": "no device named 'l5' in the catalogue (did you mean l4?)",
        "architecture": "missing",
        "peek": "unknown key; did you mean 'peak'?",
        "peak.bf17": "unknown dtype 'bf17'; did you mean 'bf16'?",
        "peak.fp32": "must be above 0, is '-1 TFLOP/s'",
        "memory.size": "80 has no unit, expected bytes (e.g. '80 GiB')",
        "memory.bandwidth": "'2.0 TB' is a size, expected bytes/s (e.g. '2.0 TB/s')",
        "memory.typ": "unknown key; did you mean 'type'?",
        "efficiency.matmul.compute": "must be a number above 0 and at most 1, is 1.2",
        "efficiency.matmul.memori": "unknown key; did you mean 'memory'?",
        "links.node.bandwidth": "missing (e.g. '300 GB/s')",
        "links.network": "must be a mapping, such as {name: ..., bandwidth: ...}",
        "tdp": "unknown key; did you mean 'power'?",
        "clock": "must be above 0, is '0 GHz'",
        "cores": "must be a whole number above 0, is 1.5",
        "l2": "has no value",
        "sources.peakk": "unknown key; did you mean 'peak'?",
        "sources.l2": "this file gives no such figure",
        "sources.source": "must be text",
    }


@pytest.mark.parametrize(
    ("lines", "key", "part"),
    [
        ("vector: {bf16: 9 TFLOP/s}", "peak.bf16", "is below vector.bf16"),
        ("l2: 5 GiB", "l2", "is larger than memory.size"),
        ("links: {node: {bandwidth: 200 GB/s}}", "links.node.bandwidth", "above memory.bandwidth"),
        ("fp32_lanes: 64\nvector: {fp32: 2 TFLOP/s}", "vector.fp32", "= 1.3 TFLOP/s"),
        ("memory.size: 1 GiB", "memory.size", "stands twice"),
    ],
)
def test_figures_that_contradict_each_other_are_faults(
    tmp_path: Path, lines: str, key: str, part: str
) -> None:
    faults = _faults(tmp_path, SMALL + lines + "\n")
    assert list(faults) == [key]
    assert part in faults[key]


def test_a_peak_with_a_slipped_type_is_a_contradiction(tmp_path: Path) -> None:
    faults = _faults(tmp_path, SMALL.replace("bf16: 8 TFLOP/s", "bf16: 8 TFLOP/s, fp8: 7 TFLOP/s"))
    assert faults == {"peak.fp8": "is below peak.bf16, though its numbers are narrower"}


def test_a_cpu_with_a_host_link_is_a_contradiction(tmp_path: Path) -> None:
    text = SMALL.replace("kind: gpu", "kind: cpu") + "links: {host: {bandwidth: 9 GB/s}}\n"
    assert _faults(tmp_path, text) == {"links.host": "a CPU has no link to its host"}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "the file is empty"),
        ("- 1\n", "a list where keys"),
        ("just words\n", "a str where keys"),
        ("name: a: b\n", "spec.yaml:1: not YAML"),
        ("name: a\nname: b\n", "spec.yaml:2: not YAML: key 'name' stands twice"),
        ("name: &n a\nvendor: *n\n", "YAML aliases (*n) are not read"),
        ("? [a]\n: 1\n", "not YAML"),
        ("name: 2026-99-99\n", "not YAML"),
        ("[" * 5000, "not YAML"),
        ("name: \x00\n", "not YAML"),
    ],
)
def test_what_is_no_spec_at_all_is_one_line(tmp_path: Path, text: str, part: str) -> None:
    with pytest.raises(InputError) as caught:
        _load(tmp_path, text)
    assert not isinstance(caught.value, SpecError)
    assert part in caught.value.line()
    assert "\n" not in caught.value.line()


def test_binary_and_huge_files_are_refused_before_they_are_read(tmp_path: Path) -> None:
    binary = tmp_path / "trace.yaml"
    binary.write_bytes(b"\x1f\x8b\x08\xff")
    with pytest.raises(InputError, match="not a text file"):
        load(str(binary))
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as file:
        file.truncate(3_000_000)
    with pytest.raises(InputError, match=r"too large for a hardware spec \(3 MB\).*a trace"):
        load(str(huge))


def test_a_missing_file_points_at_the_catalogue_where_that_has_its_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a100\.yaml: no such hardware spec .*--hw a100"):
        load(str(tmp_path / "a100.yaml"))
    with pytest.raises(InputError, match="etsim hw list"):
        load("nothing.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        load(str(tmp_path / "folder.yaml"))


_SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
_TREES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["name", "peak", "fp32", "memory", "size", "links", "node", "sources"])
            | st.integers(),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(_TREES)
def test_no_tree_of_yaml_ends_in_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, tree: object
) -> None:
    import yaml  # noqa: PLC0415

    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    with pytest.raises(InputError):
        load(str(path))


def test_the_catalogue_holds_nothing_that_only_the_strict_reader_would_refuse() -> None:
    """The catalogue is read by libyaml for speed, which knows no repeated keys and no aliases."""
    folder = Path(spec_file.__file__).with_name("catalogue")
    for path in folder.glob("*.yaml"):
        strict = yaml.load(path.read_text(), Loader=spec_file._SpecLoader)
        assert strict == yaml.safe_load(path.read_text())
