"""fp32 operators on plain lanes: products, convolutions and rows, the target's family left out.

The tables were recorded eagerly between two events. The kernel starts when the host has launched
it, the second event is recorded when the host gets there: t = max(kernel + before, floor), where
the floor is what the shortest rows take and `before` the part of it up to the launch. Rows under
60 µs are not judged. The target's floor is the others' median: its host is unknown.
"""

from dataclasses import replace
from functools import cache

import numpy as np

from etsim.models.costs.constants import MatmulConstants, RowConstants
from etsim.models.costs.core_limits import core_limits
from etsim.models.costs.figures import FIRST_HBM_SHARE, figures_for, has_first_hbm, memory_kind
from etsim.models.costs.fitting import capped_loss, fit
from etsim.models.costs.row_model import (
    RowPasses,
    SoftmaxKernels,
    norm_passes,
    row_times,
    softmax_passes,
)
from etsim.models.costs.work_values import Unit

from .folds import FOLDS
from .gemm import WIDTHS, Case, fitted, modelled, products
from .tables import FAMILY, Float64s, Row, ape, columns, machine, table, where

DEVICES = ("P100", "T4", "V100", "A100-40", "MI100")
ROW_DEVICES = (*DEVICES, "P4")  # P4 throttles in long products, not in memory-bound rows
FLOOR_US = 60.0
FITTED_ROWS = 300
LANE_PRIOR = MatmulConstants(
    compute=1.0, memory=0.82, latency_ns=5000, loop_cycles=6, overlap=0.2, operands=0.45,
    power=0.057, tile_loss=0.0115, fill_steps=40, split_ns=5000, cache=0.4,
)  # fmt: skip
LANE_WIDTHS = WIDTHS | {"compute": 0.07, "memory": 0.1, "latency_ns": 0.3, "loop_cycles": 0.5}
ELEMENTWISE = ("add", "addu", "mul", "mulu", "relu", "gelu", "tanh", "pow", "powu", "div", "divu")
TWO_INPUTS = ("add", "mul", "pow", "div")
PLAIN = "addu"  # whose shortest rows tell the host's floor of elementwise calls
TINY_US = 3.0  # of data at the datasheet's bandwidth: the host's time alone
ELEMENTWISE_BEFORE = 0.5  # of the floor passes up to the launch
BEFORE = (0.3, 0.4, 0.5, 0.6)
SHARES = tuple(np.arange(0.66, 0.96, 0.01).round(2).tolist())
LATER_PYTORCH = {"MI100"}  # 2.4; the other devices ran 2.1 (kernel names in the table)


def _rows(op: str, gpu: str) -> list[Row]:
    return where(
        table("ops_fp32"),
        lambda row: row["op"] == op and row["gpu"] == gpu and float(row["us"]) >= FLOOR_US,
    )


@cache
def product_case(op: str, gpu: str) -> Case | None:
    """Give a device's `linear` or `bmm` rows, None where it has too few."""
    rows = _rows(op, gpu)
    if len(rows) < 30:
        return None
    batch, m, n, k, us = columns(rows, "B", "M", "K", "N", "us")  # the table's N is the reduction
    if op == "linear":
        m, batch = batch * m, np.ones_like(batch)
    figures = figures_for(machine(gpu), "fp32")
    return Case(gpu, figures, products(batch, m, n, k, item=4, copies=1), us * 1e3)


@cache
def products_without(family: str) -> MatmulConstants:
    """Fit products of both kinds to every family but one."""

    def make() -> MatmulConstants:
        cases = [
            found.take(FITTED_ROWS)
            for op in ("linear", "bmm")
            for gpu in DEVICES
            if FAMILY[gpu] != family and (found := product_case(op, gpu))
        ]
        return fitted(cases, LANE_PRIOR, LANE_WIDTHS)

    return FOLDS.get(f"lane products without {family or 'none'}", LANE_PRIOR, make)


@cache
def elementwise_case(gpu: str) -> tuple[Float64s, Float64s]:
    """Give bytes moved and measured ns of all elementwise rows."""
    moved, measured = [], []
    for op in ELEMENTWISE:
        rows, width, us = columns(_rows(op, gpu), "B", "H", "us")
        moved.append(rows * width * 4 * (3 if op in TWO_INPUTS else 2))
        measured.append(us * 1e3)
    return np.concatenate(moved), np.concatenate(measured)


@cache
def host_floor_ns(op: str, gpu: str) -> float:
    """Give what the host takes for one call, from rows that a device needs next to no time for."""
    rows = where(table("ops_fp32"), lambda row: row["op"] == op and row["gpu"] == gpu)
    height, width, us = columns(rows, "B", "H", "us")
    least_us = height * width * 8 / machine(gpu).device.memory_bandwidth_gbps / 1e3
    return float(np.median(us[least_us < TINY_US])) * 1e3


def floor_without(op: str, gpu: str) -> float:
    """Give the floor that the hosts of other devices suggest."""
    return float(np.median([host_floor_ns(op, one) for one in _others(gpu)]))


def _others(gpu: str) -> list[str]:
    return [other for other in ROW_DEVICES if FAMILY[other] != FAMILY[gpu]]


@cache
def own_share(gpu: str) -> float:
    """Give a device's own streaming share, from elementwise rows."""
    moved, measured = elementwise_case(gpu)
    floor = host_floor_ns(PLAIN, gpu)

    def loss(share: float, before: float) -> float:
        return capped_loss(_streamed(gpu, moved, share, floor, before), measured)

    choices = [(loss(share, before), share) for share in SHARES for before in BEFORE]
    return float(min(choices)[1])


def _streamed(
    gpu: str, moved: Float64s, share: float, floor: float, before: float = ELEMENTWISE_BEFORE
) -> Float64s:
    kernel = moved / (machine(gpu).device.memory_bandwidth_gbps * share)
    times: Float64s = np.maximum(kernel + before * floor, floor)
    return times


@cache
def share_without(gpu: str) -> float:
    """Give the streaming share that other devices of the same kind of memory suggest."""
    device = machine(gpu).device
    known = {
        one: own_share(one) / (FIRST_HBM_SHARE if has_first_hbm(machine(one).device) else 1.0)
        for one in _others(gpu)
    }
    alike = [known[one] for one in known if memory_kind(machine(one).device) is memory_kind(device)]
    share = float(np.median(alike or [own_share(one) for one in known]))
    return share * FIRST_HBM_SHARE if has_first_hbm(device) else share


def elementwise_modelled(gpu: str) -> Float64s:
    """Give modelled times of elementwise rows, nothing of the device known."""
    moved, _ = elementwise_case(gpu)
    return _streamed(gpu, moved, share_without(gpu), floor_without(PLAIN, gpu))


def elementwise_errors() -> dict[str, float]:
    """Give each device's median error, per cent."""
    return {
        gpu: float(np.median(ape(elementwise_modelled(gpu), elementwise_case(gpu)[1])))
        for gpu in ROW_DEVICES
    }


ROW_WIDTHS = {"latency_ns": 0.3, "cache_share": 0.5, "block_cycles": 0.5, "element_cycles": 0.5}
# in latency's place stands what a host of the reference floor takes before the launch
ROW_PRIOR = RowConstants(latency_ns=32e3, block_cycles=8000)
REFERENCE_FLOOR_NS = 40e3


@cache
def row_case(op: str, gpu: str) -> tuple[RowPasses, Float64s]:
    """Give a device's `softmax` or `ln` rows."""
    rows, width, us = columns(_rows(op, gpu), "B", "H", "us")
    return row_passes(op, gpu, rows, width), us * 1e3


def row_passes(op: str, gpu: str, rows: Float64s, width: Float64s) -> RowPasses:
    """Describe fp32 rows as the table's versions of PyTorch run them."""
    core = core_limits(machine(gpu).device)
    moved = rows * width * 4
    if op == "ln":
        return norm_passes(core, rows, width, moved, moved)
    kernels = SoftmaxKernels.FULL_BLOCKS if gpu in LATER_PYTORCH else SoftmaxKernels.SMALL_BLOCKS
    return softmax_passes(core, rows, width, moved, moved, kernels)


def row_modelled(
    op: str, gpu: str, share: float, constants: RowConstants, floor: float
) -> Float64s:
    """Give modelled times of a device's rows between the host's two events."""
    passes, _ = row_case(op, gpu)
    figures = figures_for(machine(gpu), "fp32", Unit.VECTOR)
    kernel = row_times(figures, replace(constants, latency_ns=0.0), share, passes).total_ns
    before = constants.latency_ns * floor / REFERENCE_FLOOR_NS
    times: Float64s = np.maximum(kernel + before, floor)
    return times


@cache
def rows_without(op: str, family: str) -> RowConstants:
    """Fit rows to every family but one, each device with its own streaming share and floor."""
    kept = [gpu for gpu in ROW_DEVICES if FAMILY[gpu] != family]

    def loss(constants: RowConstants) -> float:
        return float(np.mean([
            capped_loss(row_knowing(op, gpu, constants), row_case(op, gpu)[1]) for gpu in kept
        ]))  # fmt: skip

    def make() -> RowConstants:
        return fit(ROW_PRIOR, ROW_WIDTHS, loss, iterations=200)

    return FOLDS.get(f"{op} without {family or 'none'}", ROW_PRIOR, make)


def row_knowing(op: str, gpu: str, constants: RowConstants) -> Float64s:
    """Give modelled times with the device's own streaming share and its host's floor."""
    return row_modelled(op, gpu, own_share(gpu), constants, host_floor_ns(op, gpu))


def row_unseen(op: str, gpu: str, *, host_known: bool = False) -> Float64s:
    """Give modelled times with nothing of the device known, and of its host only if asked."""
    constants = rows_without(op, FAMILY[gpu])
    floor = host_floor_ns(op, gpu) if host_known else floor_without(op, gpu)
    return row_modelled(op, gpu, share_without(gpu), constants, floor)


def row_errors(op: str, *, host_known: bool = False) -> dict[str, float]:
    """Give each device's median error, per cent."""
    return {
        gpu: float(np.median(ape(row_unseen(op, gpu, host_known=host_known), row_case(op, gpu)[1])))
        for gpu in ROW_DEVICES
    }


def product_errors(op: str) -> dict[str, float]:
    """Give each device's median error, per cent."""
    found = {}
    for gpu in DEVICES:
        if case := product_case(op, gpu):
            predicted = modelled(case, products_without(FAMILY[gpu]))
            found[gpu] = float(np.median(ape(predicted, case.measured_ns)))
    return found


def row_residuals(op: str) -> dict[str, list[Float64s]]:
    """Give log errors on each family left out, for `elementwise`, `softmax` or `ln`."""
    found: dict[str, list[Float64s]] = {}
    for gpu in ROW_DEVICES:
        if op == "elementwise":
            predicted, measured = elementwise_modelled(gpu), elementwise_case(gpu)[1]
        else:
            predicted, measured = row_unseen(op, gpu), row_case(op, gpu)[1]
        found[FAMILY[gpu]] = [np.log(predicted / measured)]
    return found
