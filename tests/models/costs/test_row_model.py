"""Rows and layouts: what a core holds, how rows are read again, and elements loaded alone."""

from dataclasses import replace

import numpy as np
import pytest

from etsim.models.costs.constants import RowConstants
from etsim.models.costs.core_limits import core_limits
from etsim.models.costs.device_model import estimate
from etsim.models.costs.figures import Figures, figures_for
from etsim.models.costs.row_model import SoftmaxKernels, norm_passes, row_times, softmax_passes
from etsim.models.costs.tensors import Tensor, walk_together
from etsim.models.costs.work import work_of
from etsim.models.costs.work_values import Unit
from etsim.models.graph import Operator
from etsim.models.specs import load


def a100() -> Figures:
    """Give the figures of a device with much L2."""
    return figures_for(load("a100-sxm-80gb"), "fp32", Unit.VECTOR)


def one(value: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Give a column of one number."""
    return np.array([value])


def softmax_ns(figures: Figures, rows: int, columns: int, kernels: SoftmaxKernels) -> float:
    """Give the modelled time of one fp32 softmax."""
    moved = one(4.0 * rows * columns)
    passes = softmax_passes(figures.core, one(rows), one(columns), moved, moved, kernels)
    return float(row_times(figures, RowConstants(), 0.9, passes).total_ns[0])


def test_turing_and_ada_cores_hold_fewer_threads_than_hopper() -> None:
    threads = [core_limits(load(name).device).threads for name in ("t4", "l4", "h100-sxm")]
    assert threads == [1024, 1536, 2048]


def test_amd_waves_are_of_sixty_four() -> None:
    assert core_limits(load("mi300x").device).wave == 64


def test_a_row_that_shared_memory_holds_is_read_once() -> None:
    core = a100().core
    moved = one(4.0 * 64 * 4096)
    later, before = (
        softmax_passes(core, one(64), one(4096), moved, moved, kernels).passes[0]
        for kernels in (SoftmaxKernels.FULL_BLOCKS, SoftmaxKernels.SMALL_BLOCKS)
    )
    assert (later, before) == (1, 3)


def test_a_row_that_ends_within_a_load_needs_more_of_them() -> None:
    core = a100().core

    def elements(columns: int) -> float:
        moved = one(4.0 * columns)
        return float(softmax_passes(core, one(1), one(columns), moved, moved,
                                    SoftmaxKernels.SMALL_BLOCKS).elements[0])  # fmt: skip

    assert elements(2047) > elements(2048)


def test_rows_that_outgrow_l2_are_read_from_memory_again() -> None:
    figures = a100()
    small = replace(figures, l2_bytes=1e6)
    few, many = (
        softmax_ns(each, 20000, 8190, SoftmaxKernels.SMALL_BLOCKS) for each in (figures, small)
    )
    assert many > 1.5 * few


def test_short_rows_share_a_block() -> None:
    figures = a100()
    short = softmax_ns(figures, 301056, 8, SoftmaxKernels.FULL_BLOCKS)
    assert short < 4 * 301056 * 8 * 8 / figures.bytes_per_ns + 10e3


def test_a_norm_waits_longer_on_a_core_with_slow_steps() -> None:
    figures = a100()
    slow = replace(figures, core=replace(figures.core, slowness=1.5))
    moved = one(4.0 * 4096 * 256)
    passes = norm_passes(figures.core, one(4096), one(256), moved, moved)
    times = [row_times(each, RowConstants(), 0.9, passes).total_ns[0] for each in (figures, slow)]
    assert times[1] > times[0]


@pytest.mark.parametrize(
    ("strides", "together"),
    [
        ([(4, 1), (4, 1)], True),
        ([(1, 3), (1, 3)], True),  # both transposed: one pass over memory still
        ([(4, 1), (1, 3)], False),
        ([(8, 1), (8, 1)], False),  # gaps
        ([(0, 1), (4, 1)], False),  # expanded
        ([None, (4, 1)], True),  # not recorded: nothing speaks against it
    ],
)
def test_tensors_walk_together_where_they_lie_alike(
    strides: list[tuple[int, int] | None], together: bool
) -> None:
    assert walk_together([Tensor((3, 4), "fp32", 12, each) for each in strides]) is together


def test_dimensions_of_one_have_no_stride_that_counts() -> None:
    operator = Operator(
        "aten::add", input_shapes=((1, 64, 8), (1, 64, 8)), input_types=("float", "float"),
        input_strides=((512, 8, 1), (9999, 8, 1)),
    )  # fmt: skip
    assert work_of(operator).placed == 0


def test_a_copy_between_layouts_takes_longer_than_one_that_keeps_its() -> None:
    h100 = load("h100-sxm")
    kept, turned = (
        Operator(
            "aten::copy_", input_shapes=((4096, 4096),) * 2, input_types=("c10::BFloat16",) * 2,
            input_strides=((4096, 1), strides),
        )
        for strides in ((4096, 1), (1, 4096))
    )  # fmt: skip
    times = estimate(h100, [work_of(kept), work_of(turned)]).time_ns
    assert times[1] > 1.5 * times[0]
