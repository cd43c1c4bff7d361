"""Whole fp32 models: the sum of their operators' modelled times on a device never fitted.

A node of the table lists its primitive operators: [name, dimensions]. Views take no device time;
a measured layer is repeated `rep` times.
"""

import ast
from collections import defaultdict
from dataclasses import dataclass
from functools import cache

import numpy as np

from etsim.models.costs.constants import RowConstants
from etsim.models.costs.figures import figures_for
from etsim.models.costs.matmul_model import matmul_times
from etsim.models.costs.row_model import row_times
from etsim.models.costs.work_values import Unit

from . import lanes
from .gemm import products
from .tables import FAMILY, Row, ape, machine, table

DEVICE = {
    "AMD_Instinct_MI100": "MI100", "NVIDIA_A100-PCIE-40GB": "A100-40",
    "Tesla_P100-PCIE-16GB": "P100", "Tesla_P4": "P4", "Tesla_T4": "T4",
    "Tesla_V100-PCIE-32GB": "V100",
}  # fmt: skip
KERNEL_NS = 2500.0  # the shortest kernel of a stream that is never empty
SMALL_CARD_W = 75.0  # what a slot supplies: no cable, no active cooling
MOVING_NODES = {"contiguous", "dropout", "EMBEDDING"}
Primitive = tuple[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Predicted:
    """One model on one device, ms, with the published prediction of another method."""

    gpu: str
    model: str
    described: str
    measured_ms: float
    predicted_ms: float
    neusight_ms: float | None


@dataclass(frozen=True, slots=True)
class _Device:
    """Prices primitives on one device with constants that never saw its family."""

    gpu: str

    def primitive_ns(self, name: str, dims: tuple[int, ...]) -> float:
        """Give the time of one primitive."""
        if name in {"Linear", "BMM"}:
            batch, m, k, n = (1, *dims) if name == "Linear" else dims
            shape = [np.array([float(value)]) for value in (batch, m, n, k)]
            figures = figures_for(machine(self.gpu), "fp32")
            cold = products(*shape, item=4, copies=np.inf)
            constants = lanes.products_without(FAMILY[self.gpu])
            return float(matmul_times(figures, constants, cold).total_ns[0])
        rows, width = float(np.prod(dims[:-1])), float(dims[-1])
        if name in {"VECsoftmax", "VECln"}:
            return self._rows_ns(name, rows, width)
        tensors = 3 if name in {"VECadd", "VECmul", "VECdiv", "VECpow"} else 2
        return self.moved_ns(4 * tensors * rows * width)

    def moved_ns(self, moved_bytes: float) -> float:
        """Give the time of moving bytes."""
        share = lanes.share_without(self.gpu)
        return moved_bytes / (machine(self.gpu).device.memory_bandwidth_gbps * share) + KERNEL_NS

    def _rows_ns(self, name: str, rows: float, width: float) -> float:
        op = "softmax" if name == "VECsoftmax" else "ln"
        passes = lanes.row_passes(op, self.gpu, np.array([rows]), np.array([width]))
        fitted = lanes.rows_without(op, FAMILY[self.gpu])
        constants = RowConstants(
            KERNEL_NS, fitted.cache_share, fitted.block_cycles, fitted.element_cycles
        )
        figures = figures_for(machine(self.gpu), "fp32", Unit.VECTOR)
        share = lanes.share_without(self.gpu)
        return float(row_times(figures, constants, share, passes).total_ns[0])


def _primitives(text: str) -> list[tuple[str, object]]:
    return [(name, dims) for name, dims in ast.literal_eval(text)]


def _elements(shapes: object) -> float:
    if not isinstance(shapes, tuple):
        return 0.0
    return float(sum(np.prod(shape) for shape in shapes if isinstance(shape, tuple)))


def _node_ns(device: _Device, row: Row, phase: str) -> float:
    """Give the time of one phase (FwOps, BwOps, AccOps) of a node."""
    total, moved = 0.0, 0.0
    for name, dims in _primitives(row[phase]):
        if name == "MEM":
            whole = row["OpName"] != "contiguous" or (isinstance(dims, tuple) and len(dims[0]) == 4)
            moved += _elements(dims) if row["OpName"] in MOVING_NODES and whole else 0.0
        elif isinstance(dims, tuple | list):
            total += device.primitive_ns(name, tuple(int(size) for size in dims))
    return total + (device.moved_ns(4 * moved) if moved else 0.0)


def _model_ns(device: _Device, rows: list[Row], training: bool) -> float:
    total, wide = 0.0, 0.0
    for row in rows:
        repeats = int(row["rep"])
        for name, dims in _primitives(row["FwOps"]):
            if name.startswith("VEC") and isinstance(dims, tuple):
                wide = float(np.prod(dims))  # the tensor that an operator without shapes sees
        if row["Name"].startswith("max"):  # max(scores, least value): read and written once
            total += repeats * device.moved_ns(8 * wide)
        phases = ("FwOps", "BwOps", "AccOps") if training else ("FwOps",)
        total += repeats * sum(_node_ns(device, row, phase) for phase in phases)
    return total


@cache
def predictions() -> list[Predicted]:
    """Predict every model whose graph the table of nodes holds."""
    nodes: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in table("e2e_nodes"):
        nodes[row["device"], row["desc"]].append(row)
    found = []
    for row in table("e2e_models"):
        described = f"{row['model']}-{row['mode']}-{row['seq']}-{row['batch']}"
        rows = nodes.get((row["device"], described))
        if rows:
            device = _Device(DEVICE[row["device"]])
            predicted = _model_ns(device, rows, row["mode"] == "train") / 1e6
            neusight = float(row["anchor_neusight_ms"]) if row["anchor_neusight_ms"] else None
            found.append(
                Predicted(
                    device.gpu, row["model"], described, float(row["e2e_ms"]), predicted, neusight
                )
            )  # fmt: skip
    return found


def errors() -> list[float]:
    """Give each row's error, per cent, with nothing of its device known."""
    return [_ape(row.predicted_ms, row.measured_ms) for row in predictions()]


def neusight_errors() -> list[float]:
    """Give the published method's errors on the same rows."""
    return [_ape(row.neusight_ms, row.measured_ms) for row in predictions() if row.neusight_ms]


def scaled_errors() -> list[float]:
    """Give errors with one other model measured on the target, a mean over the choices of it.

    The scale that the other model tells is believed as far as scales of one device agree.
    """
    rows = predictions()
    found = []
    for row in rows:
        others = [o for o in rows if o.gpu == row.gpu and o.model != row.model]
        if others:
            believed = reliability(row.gpu)
            scales = [(o.measured_ms / o.predicted_ms) ** believed for o in others]
            found.append(
                float(np.mean([_ape(row.predicted_ms * s, row.measured_ms) for s in scales]))
            )
    return found


@cache
def reliability(gpu: str) -> float:
    """Give how far one model's scale holds for the device: τ² / (τ² + ω²), none of its own rows.

    τ² is the variance of scales between devices; ω² that between models of one device, taken from
    devices of the same kind: small cards throttle as they warm up, so their scales differ by run.
    """
    scales: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in predictions():
        if FAMILY[row.gpu] != FAMILY[gpu]:
            scales[row.gpu][row.model].append(float(np.log(row.measured_ms / row.predicted_ms)))
    means = {one: [float(np.mean(logs)) for logs in of.values()] for one, of in scales.items()}
    alike = [one for one in means if _is_small(one) == _is_small(gpu)] or list(means)
    within = float(np.mean([np.var(means[one], ddof=1) for one in alike]))
    between = float(np.var([np.mean(logs) for logs in means.values()], ddof=1))
    return between / (between + within)


def _is_small(gpu: str) -> bool:
    return machine(gpu).device.tdp_w <= SMALL_CARD_W


def _ape(predicted: float, measured: float) -> float:
    return float(ape(np.array([predicted]), np.array([measured]))[0])
