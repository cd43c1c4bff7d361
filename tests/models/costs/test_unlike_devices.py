"""Devices unlike those of the tables: other memories, other cores, dtypes that they do not have."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etsim.models.costs.device_model import estimate
from etsim.models.costs.figures import MemoryKind, memory_kind, peak_tflops, stand_in
from etsim.models.costs.likeness import Likeness, likeness
from etsim.models.costs.price import price
from etsim.models.costs.spreads import carried_spread, device_doubt, model_spread
from etsim.models.costs.work import work_of
from etsim.models.costs.work_values import Unit, Work, WorkClass
from etsim.models.graph import Category, EdgeKind, ExecutionGraph, LaneKind, Operator
from etsim.models.graph_builder import GraphBuilder
from etsim.models.hardware import Device, DeviceKind, Hardware
from etsim.models.specs import catalogue, load

Maker = Callable[..., Hardware]
DEVICES = tuple(name for name in catalogue() if not name.startswith("cpu"))
FP8 = Operator(
    "aten::_scaled_mm", input_shapes=((4096, 4096), (4096, 4096)),
    input_types=("c10::Float8_e4m3fn", "c10::Float8_e4m3fn"),
)  # fmt: skip


def work(name: str, *shapes: tuple[int, ...], concrete: tuple[str, ...] = ()) -> Work:
    types = ("float",) * len(shapes)
    return work_of(Operator(name, input_shapes=shapes, input_types=types, concrete_inputs=concrete))


def time_ns(hardware: Hardware, one: Work) -> float:
    return float(estimate(hardware, [one]).time_ns[0])


def few_wide_cores(hardware: Hardware) -> Hardware:
    """Make an NPU of four cores out of a machine, with the same rates."""
    device = replace(hardware.device, kind=DeviceKind.NPU, cores=4)
    return replace(hardware, device=device)


def product_graph(operator: Operator) -> ExecutionGraph:
    """Draw op --> launch --> kernel."""
    build = GraphBuilder()
    host = build.lane(LaneKind.HOST, group=1, number=1)
    stream = build.lane(LaneKind.DEVICE, group=0, number=7)
    op = build.add(operator.name, host, duration_ns=3000, operator=operator)
    build.add(
        "gemm", stream, duration_ns=200_000, category=Category.KERNEL, operator=operator,
        parent=op, after=[(op, EdgeKind.LAUNCH, 8000)],
    )  # fmt: skip
    return build.build()


def test_fp8_on_a_device_without_it_runs_at_the_rate_of_16_bits_not_of_integers() -> None:
    a100 = load("a100").device
    assert stand_in(a100, "fp8") == "bf16"
    assert peak_tflops(a100, "fp8", Unit.MATRIX) == a100.peak_tflops["bf16"]


def test_a_dtype_that_the_target_does_not_have_is_told_in_one_sentence() -> None:
    told = price(product_graph(FP8), load("h100"), load("a100")).warnings
    assert [
        text for text in told if "states no rate for fp8: 1 products" in text and "bf16" in text
    ]
    assert not any("no rate" in text for text in price(
        product_graph(FP8), load("h100"), load("h200")).warnings)  # fmt: skip


def test_plain_memory_is_plain_whatever_it_is_called() -> None:
    for name in ("GDDR6", "LPDDR5X", "DDR5"):
        plain = replace(load("a100").device, memory_type=name)
        assert memory_kind(plain) is MemoryKind.GDDR


def test_two_devices_of_one_architecture_but_unlike_memory_are_no_siblings() -> None:
    a100 = load("a100").device
    a40 = replace(a100, memory_type="GDDR6", memory_bandwidth_gbps=696)
    assert likeness(a100, a40) is Likeness.VENDOR
    assert likeness(a100, load("a100-sxm-40gb").device) is Likeness.SAME


@pytest.mark.parametrize("name", ["l40s", "l4", "t4", "mi300x", "ascend-910b"])
def test_low_power_plain_memory_and_other_vendors_carry_wider_intervals(name: str) -> None:
    odd, common = load(name).device, load("h100").device
    assert device_doubt(common) == 1
    for one in WorkClass:
        assert model_spread(one, odd) > model_spread(one, common)
        wide = carried_spread(one, Likeness.VENDOR, by_name=False, doubt=device_doubt(odd))
        assert wide > carried_spread(one, Likeness.VENDOR, by_name=False)


@pytest.mark.parametrize(
    "one",
    [
        work("aten::_softmax", (65536, 1025), concrete=("", "-1")),
        work("aten::native_layer_norm", (8192, 4096), concrete=("", "[4096]")),
        work("aten::copy_", (4096, 4096), (4096, 4096)),
    ],
)
def test_few_wide_cores_stream_rows_as_fast_as_memory_brings_them(one: Work) -> None:
    """Waves of thread blocks are a GPU's: on four cores of an NPU they took 30 times as long."""
    npu = few_wide_cores(load("h100"))
    least = one.bytes_moved / npu.device.memory_bandwidth_gbps
    assert least < time_ns(npu, one) < 1.4 * least + 5e3


@pytest.mark.parametrize("queries", [1, 64])
def test_a_cache_is_no_slower_than_memory_on_few_wide_cores(queries: int) -> None:
    npu = few_wide_cores(load("h100"))
    uncached = replace(npu, device=replace(npu.device, l2_bytes=1))
    one = work("aten::_scaled_dot_product_flash_attention", (1, 32, queries, 128),
               (1, 32, 1024, 128), (1, 32, 1024, 128))  # fmt: skip
    assert time_ns(npu, one) <= time_ns(uncached, one)


@given(
    st.sampled_from(DEVICES),
    st.sampled_from(("bandwidth", "rate", "clock", "cores")),
    st.floats(1.05, 4),
    st.tuples(st.integers(1, 4096), st.integers(1, 4096), st.integers(1, 4096)),
)
def test_a_product_never_takes_longer_on_a_device_that_is_better_at_something(
    name: str, what: str, factor: float, shape: tuple[int, int, int]
) -> None:
    m, n, k = shape
    hardware = load(name)
    one = work("aten::mm", (m, k), (k, n))
    better = replace(hardware, device=_better(hardware, what, factor))
    assert time_ns(better, one) <= 1.01 * time_ns(hardware, one)


def _better(hardware: Hardware, what: str, factor: float) -> Device:
    device = hardware.device
    if what == "bandwidth":
        return replace(device, memory_bandwidth_gbps=factor * device.memory_bandwidth_gbps)
    cores = round(factor * device.cores) if what == "cores" else device.cores
    grown = cores / device.cores if what == "cores" else factor
    return replace(
        device,
        cores=cores,
        clock_mhz=device.clock_mhz * (factor if what == "clock" else 1),
        peak_tflops={key: grown * rate for key, rate in device.peak_tflops.items()},
        vector_tflops={key: grown * rate for key, rate in device.vector_tflops.items()},
    )


IMAGE = (32, 256, 56, 56)
CONVOLUTION = ("", "", "", "[1, 1]", "[1, 1]", "[1, 1]", "False", "[0, 0]")


@pytest.mark.parametrize("name", DEVICES)
def test_a_depthwise_convolution_is_a_pass_over_its_image_not_a_padded_product(name: str) -> None:
    """One channel a group: as a product of width 1 it took 18 times its bytes on P100."""
    image = work("aten::convolution", IMAGE, (256, 1, 3, 3), concrete=(*CONVOLUTION, "256"))
    assert image.unit is Unit.VECTOR
    assert image.flops == 2 * 32 * 256 * 56 * 56 * 9
    hardware = load(name)
    least = image.bytes_moved / hardware.device.memory_bandwidth_gbps
    assert least < time_ns(hardware, image) < 4 * least + 5e3


def test_a_grouped_convolution_stays_a_product() -> None:
    image = work("aten::convolution", IMAGE, (256, 8, 3, 3), concrete=(*CONVOLUTION, "32"))
    assert image.unit is Unit.MATRIX


def test_a_recurrent_layer_counts_every_weight_at_every_step() -> None:
    """128 steps of 64 sequences, width 1024, four gates of 1024: as torch's own products."""
    weights = "GenericList[Tensor(float),Tensor(float)]"
    lstm = Operator(
        "aten::_cudnn_rnn", input_shapes=((128, 64, 1024), ((4096, 1024), (4096, 1024))),
        input_types=("float", weights),
    )  # fmt: skip
    assert work_of(lstm).flops == 2 * 128 * 64 * (4096 * 1024 + 4096 * 1024)


def test_attention_of_xformers_counts_its_products() -> None:
    shape = (2, 128, 4, 64)  # batch, sequence, heads, d
    found = work("xformers::efficient_attention_forward_cutlass", shape, shape, shape)
    assert found.flops == 4 * 2 * 4 * 128 * 128 * 64


def test_packed_weights_of_four_bits_tell_the_width_of_their_product() -> None:
    marlin = Operator(
        "_C::gptq_marlin_gemm", input_shapes=((16, 4096), (256, 28672)),
        input_types=("c10::Half", "int"),
    )  # fmt: skip
    assert work_of(marlin).flops == 2 * 16 * 4096 * 14336
