"""fp32 operators on plain lanes: products, convolutions and rows, the target's family left out.

The tables were recorded eagerly: what the host needs for a launch is a floor under every row, so
rows under 60 µs are left out and the floor is joined as √(kernel² + floor²).
"""

from functools import cache

import numpy as np

from etsim.models.costs.constants import MatmulConstants, RowConstants
from etsim.models.costs.figures import figures_for
from etsim.models.costs.fitting import capped_loss, fit
from etsim.models.costs.row_model import RowPasses, norm_passes, row_times, softmax_passes
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
# nothing is known about a class of memory from the target's own table, so its share comes from
# other devices with the same kind; these two from streaming weights in the bf16 table
OTHER_SHARES = {"hbm": [0.855, 0.855], "gddr": [0.82], "amd": []}
SHARE_GROUP = {"P100": "hbm", "V100": "hbm", "A100-40": "hbm", "T4": "gddr", "P4": "gddr",
               "MI100": "amd"}  # fmt: skip
ELEMENTWISE = ("add", "addu", "mul", "mulu", "relu", "gelu", "tanh", "pow", "powu", "div", "divu")
TWO_INPUTS = ("add", "mul", "pow", "div")


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
def own_share(gpu: str) -> tuple[float, float]:
    """Give a device's own streaming share and the host's floor in ns, from elementwise rows."""
    moved, measured = elementwise_case(gpu)
    best = (np.inf, 0.0, 0.0)
    for share in np.arange(0.66, 0.96, 0.01):
        for floor in (5e3, 10e3, 20e3, 30e3, 40e3, 50e3):
            loss = capped_loss(_streamed(gpu, moved, share, floor), measured)
            best = min(best, (loss, float(share), floor))
    return best[1], best[2]


def _streamed(gpu: str, moved: Float64s, share: float, floor: float) -> Float64s:
    kernel = moved / (machine(gpu).device.memory_bandwidth_gbps * share)
    times: Float64s = np.hypot(kernel, floor)
    return times


@cache
def share_without(gpu: str) -> tuple[float, float]:
    """Give the streaming share and floor that the other devices suggest for this one."""
    others = [other for other in ROW_DEVICES if FAMILY[other] != FAMILY[gpu]]
    group = SHARE_GROUP[gpu]
    alike = [own_share(one)[0] for one in others if SHARE_GROUP[one] == group]
    alike += OTHER_SHARES[group]
    shares = alike or [own_share(one)[0] for one in others]
    return float(np.median(shares)), float(np.median([own_share(one)[1] for one in others]))


def elementwise_errors() -> dict[str, float]:
    """Give each device's median error, per cent."""
    found = {}
    for gpu in ROW_DEVICES:
        moved, measured = elementwise_case(gpu)
        found[gpu] = float(np.median(ape(_streamed(gpu, moved, *share_without(gpu)), measured)))
    return found


ROW_WIDTHS = {"latency_ns": 0.5, "cache_share": 0.5, "block_cycles": 0.5, "element_cycles": 0.5}
ROW_PRIOR = RowConstants(latency_ns=60e3)  # here the host's floor stands in latency's place


@cache
def row_case(op: str, gpu: str) -> tuple[RowPasses, Float64s]:
    """Give a device's `softmax` or `ln` rows."""
    rows, width, us = columns(_rows(op, gpu), "B", "H", "us")
    moved = rows * width * 4
    describe = softmax_passes if op == "softmax" else norm_passes
    return describe(rows, width, moved, moved), us * 1e3


def row_modelled(op: str, gpu: str, share: float, constants: RowConstants) -> Float64s:
    """Give modelled times of a device's rows, the host's floor joined."""
    passes, _ = row_case(op, gpu)
    figures = figures_for(machine(gpu), "fp32", Unit.VECTOR)
    times = row_times(figures, constants, share, passes)
    floor = figures.at_clock(constants.latency_ns, 1.41)
    joined: Float64s = np.hypot(times.total_ns - floor, constants.latency_ns)
    return joined


@cache
def rows_without(op: str, family: str) -> RowConstants:
    """Fit rows to every family but one, each device with its own streaming share."""
    kept = [gpu for gpu in ROW_DEVICES if FAMILY[gpu] != family]

    def loss(constants: RowConstants) -> float:
        return float(np.mean([
            capped_loss(row_modelled(op, gpu, own_share(gpu)[0], constants), row_case(op, gpu)[1])
            for gpu in kept
        ]))  # fmt: skip

    def make() -> RowConstants:
        return fit(ROW_PRIOR, ROW_WIDTHS, loss, iterations=200)

    return FOLDS.get(f"{op} without {family or 'none'}", ROW_PRIOR, make)


def row_errors(op: str) -> dict[str, float]:
    """Give each device's median error, per cent."""
    found = {}
    for gpu in ROW_DEVICES:
        constants = rows_without(op, FAMILY[gpu])
        predicted = row_modelled(op, gpu, share_without(gpu)[0], constants)
        found[gpu] = float(np.median(ape(predicted, row_case(op, gpu)[1])))
    return found


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
            moved, measured = elementwise_case(gpu)
            predicted = _streamed(gpu, moved, *share_without(gpu))
        else:
            measured = row_case(op, gpu)[1]
            constants = rows_without(op, FAMILY[gpu])
            predicted = row_modelled(op, gpu, share_without(gpu)[0], constants)
        found[FAMILY[gpu]] = [np.log(predicted / measured)]
    return found
