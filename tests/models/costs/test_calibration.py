"""Calibration: constants are found again, doubted where they must be, and refused where untold."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from etsim.models.costs.calibration import calibrate
from etsim.models.costs.constant_sets import constants_for
from etsim.models.costs.device_model import estimate
from etsim.models.costs.judged_kernels import judge
from etsim.models.costs.measured_kernel import MeasuredKernel, MeasuredMessage
from etsim.models.costs.residuals import read_field, residual_field
from etsim.models.costs.work import work_of
from etsim.models.errors import SpecError
from etsim.models.graph import Operator
from etsim.models.hardware import Hardware

Maker = Callable[..., Hardware]
HALF = ("c10::Half", "c10::Half")


def products(hardware: Hardware, count: int, slower: float) -> list[MeasuredKernel]:
    """Give products measured on a machine that is slower than its model by a factor."""
    rng = np.random.default_rng(1)
    kernels = []
    for _ in range(count):
        m, n, k = (int(2 ** rng.uniform(9, 13)) for _ in range(3))
        operator = Operator("aten::mm", input_shapes=((m, k), (k, n)), input_types=HALF)
        modelled = float(estimate(hardware, [work_of(operator)]).time_ns[0])
        kernels.append(MeasuredKernel(operator, slower * modelled))
    return kernels


def test_a_machine_slower_than_its_model_is_fitted_and_the_error_falls(make_gpu: Maker) -> None:
    gpu = make_gpu("one")
    kernels = products(gpu, 20, slower=1.3)
    found = calibrate(gpu, kernels).sets["matmul"]
    assert found.error_after < found.error_before / 2
    assert found.constants["compute"] < constants_for(gpu).matmul.compute
    low, high = found.intervals["compute"]
    assert low <= found.constants["compute"] <= high
    better = replace(gpu, calibration={"constants": {"matmul": dict(found.constants)}})
    assert judge(better, kernels).median_error < judge(gpu, kernels).median_error / 2


def test_nine_products_are_too_few_and_that_is_said(make_gpu: Maker) -> None:
    found = calibrate(make_gpu("one"), products(make_gpu("one"), 9, slower=1.3))
    assert not found.sets
    assert found.refused == ("matmul: 9 kernels, at least 10 are needed",)


def test_five_copies_tell_the_bandwidth_they_reach(make_gpu: Maker) -> None:
    gpu = make_gpu("one")
    kernels = [
        MeasuredKernel(
            Operator("aten::add", input_shapes=((n,), (n,)), input_types=("float", "float")),
            12 * n / (0.5 * gpu.device.memory_bandwidth_gbps) + 2500,
        )
        for n in (1 << p for p in range(22, 27))
    ]
    assert abs(calibrate(gpu, kernels).sets["streaming"].constants["memory"] - 0.5) < 0.01


def test_messages_of_six_sizes_give_a_law_and_one_size_none(make_gpu: Maker) -> None:
    sizes = [1 << p for p in range(12, 24, 2)]
    messages = [MeasuredMessage("all_reduce", 8, s, 9000 + s / 100) for s in sizes]
    single = [MeasuredMessage("all_gather", 8, 1024, 9000)]
    found = calibrate(make_gpu("one"), [], messages + single)
    assert set(found.collectives) == {"all_reduce"}
    assert "all_gather" in found.refused[0]


def test_a_residual_is_believed_near_its_shape_and_hardly_far_away() -> None:
    field = residual_field(np.array([[8.0, 8.0, 8.0]]), np.array([0.2]))
    near, far = field.at(np.array([[8.0, 8.0, 8.0], [24.0, 24.0, 24.0]]))
    assert 0.1 < near < 0.2
    assert abs(far) < near / 8


def test_one_wild_kernel_moves_no_field_of_many() -> None:
    shapes = np.arange(30, dtype=np.float64).reshape(10, 3) / 3
    left = np.full(10, 0.05)
    calm = residual_field(shapes, left).at(shapes)
    left[4] = 0.6
    assert np.abs(residual_field(shapes, left).at(shapes) - calm).max() < 0.1


def test_a_field_of_another_kernel_is_refused() -> None:
    with pytest.raises(SpecError, match="calibrate again"):
        read_field({"features": [[1.0, 1.0, 1.0]], "weights": [0.1]})
