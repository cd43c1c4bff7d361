"""The analytic device model: what more work, wider devices and stated constants do to a time."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etsim.models.costs.bound import Bound
from etsim.models.costs.constant_sets import ConstantSets, constants_for, with_values
from etsim.models.costs.device_model import estimate
from etsim.models.costs.work import work_of
from etsim.models.errors import SpecError
from etsim.models.graph import Operator
from etsim.models.hardware import Hardware
from etsim.models.specs import load

Maker = Callable[..., Hardware]


def time_ns(hardware: Hardware, name: str, *shapes: tuple[int, ...], dtype: str = "float") -> float:
    """Give the modelled time of one operator."""
    types = (dtype,) * len(shapes)
    work = work_of(Operator(f"aten::{name}", input_shapes=shapes, input_types=types))
    return float(estimate(hardware, [work]).time_ns[0])


def test_a_large_product_takes_its_flops_over_the_peak_or_a_little_more() -> None:
    h100 = load("h100-sxm")
    least_ns = 2 * 8192**3 / (h100.device.peak_tflops["bf16"] * 1e3)
    taken = time_ns(h100, "mm", (8192, 8192), (8192, 8192), dtype="c10::BFloat16")
    assert least_ns < taken < 1.6 * least_ns


def test_a_large_sum_takes_its_bytes_over_the_bandwidth_or_a_little_more() -> None:
    h100 = load("h100-sxm")
    least_ns = 3 * 4 * 2**28 / h100.device.memory_bandwidth_gbps
    taken = time_ns(h100, "add", (2**28,), (2**28,))
    assert least_ns < taken < 1.3 * least_ns


def test_the_smallest_kernel_takes_microseconds_whatever_it_does() -> None:
    assert 1e3 < time_ns(load("h100-sxm"), "add", (1,), (1,)) < 5e3


def test_a_product_is_bound_by_compute_and_one_row_by_memory() -> None:
    h100 = load("h100-sxm")
    works = [
        work_of(Operator("aten::mm", input_shapes=((m, 8192), (8192, 8192)),
                         input_types=("c10::BFloat16",) * 2))
        for m in (8192, 1)
    ]  # fmt: skip
    assert estimate(h100, works).bound.tolist() == [Bound.COMPUTE, Bound.MEMORY]


def test_a_power_limit_slows_a_large_product_down() -> None:
    l40s = load("l40s")
    roomy = replace(l40s, device=replace(l40s.device, tdp_w=10 * l40s.device.tdp_w))
    shapes = ((8192, 8192), (8192, 8192))
    slow = time_ns(l40s, "mm", *shapes, dtype="c10::BFloat16")
    assert slow > 1.1 * time_ns(roomy, "mm", *shapes, dtype="c10::BFloat16")


@pytest.mark.parametrize("name", ["t4", "a100-sxm-80gb", "h100-sxm", "mi300x", "l40s", "b200-sxm"])
def test_every_device_of_the_catalogue_prices_every_class(name: str) -> None:
    hardware = load(name)
    shapes = {
        "mm": ((64, 64), (64, 64)), "softmax": ((64, 2048),), "layer_norm": ((64, 2048),),
        "embedding": ((64, 8), (8, 8)), "sort": ((4096,),), "relu": ((64,),),
        "_scaled_dot_product_flash_attention": ((1, 8, 512, 64),) * 3,
    }  # fmt: skip
    times = [time_ns(hardware, key, *value) for key, value in shapes.items()]
    assert np.all(np.isfinite(times))
    assert min(times) > 0


@given(st.integers(1, 4096), st.integers(1, 4096), st.integers(16, 4096))
def test_a_product_never_beats_the_peak(m: int, n: int, k: int) -> None:
    h100 = load("h100-sxm")
    flops = 2 * m * n * k
    taken = time_ns(h100, "mm", (m, k), (k, n), dtype="c10::BFloat16")
    assert taken >= flops / (1.1e3 * h100.device.peak_tflops["bf16"])


@given(st.integers(64, 4096), st.integers(2, 8))
def test_more_rows_never_take_less_time(rows: int, factor: int) -> None:
    h100 = load("h100-sxm")
    assert time_ns(h100, "softmax", (rows * factor, 2048)) >= time_ns(h100, "softmax", (rows, 2048))


def test_a_stated_efficiency_replaces_the_fitted_one(make_gpu: Maker) -> None:
    gpu = make_gpu("one")
    half = replace(gpu, device=replace(gpu.device, efficiency={"vector.memory": 0.43}))
    long = ((2**28,), (2**28,))
    assert time_ns(half, "add", *long) > 1.9 * time_ns(gpu, "add", *long)


def test_a_calibration_comes_before_everything_else(make_gpu: Maker) -> None:
    gpu = replace(make_gpu("one"), calibration={"constants": {"matmul": {"compute": 0.5}}})
    assert constants_for(gpu).matmul.compute == 0.5


def test_a_faulty_calibration_tells_every_fault_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        with_values(ConstantSets(), {"matmul": {"speed": 1.0, "compute": -1}, "x": {}}, "mine.yaml")
    assert set(caught.value.faults) == {"matmul.speed", "matmul.compute", "x"}
