"""bf16 products: constants fitted without the target's family, then judged on the target."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from etsim.models.costs.constants import MatmulConstants
from etsim.models.costs.figures import Figures, figures_for
from etsim.models.costs.fitting import capped_loss, fit
from etsim.models.costs.matmul_model import Products, matmul_times
from etsim.models.costs.transfer import residual_limit
from etsim.models.costs.work_values import WorkClass

from .folds import FOLDS
from .tables import FAMILY, Float64s, columns, machine, sample, table, where
from .transfers import Judged

DEVICES = ("a100_sxm", "h100_sxm", "h200_sxm", "l40s")
WEIGHT_COPIES = 6  # the benchmark turns over so many; told by where L40S leaves its L2
FITTED_ROWS = 500
WIDTHS = {
    "compute": 0.05, "memory": 0.03, "latency_ns": 0.1, "loop_cycles": 0.2, "overlap": 0.5,
    "operands": 0.2, "power": 0.1, "tile_loss": 0.5, "fill_steps": 0.6, "split_ns": 0.5,
    "cache": 0.3,
}  # fmt: skip
PRIOR = MatmulConstants()
LIMIT = residual_limit(WorkClass.MATMUL)


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One device's measured products."""

    gpu: str
    figures: Figures
    products: Products
    measured_ns: Float64s

    def take(self, most: int) -> "Case":
        """Give the same case with fewer rows."""
        return self.rows(sample(len(self.measured_ns), most))

    def rows(self, rows: NDArray[np.int64]) -> "Case":
        """Give the same case with only these rows."""
        p = self.products
        products = Products(
            p.batch[rows], p.m[rows], p.n[rows], p.k[rows], p.left_bytes[rows],
            p.right_bytes[rows], p.out_bytes[rows], p.weight[rows], p.weight_copies,
        )  # fmt: skip
        return Case(self.gpu, self.figures, products, self.measured_ns[rows])


def products(
    batch: Float64s, m: Float64s, n: Float64s, k: Float64s, *, item: float, copies: float
) -> Products:
    """Give plain products of one item size; without batches the right operand is a weight."""
    return Products(
        batch, m, n, k, item * batch * m * k, item * batch * n * k, item * batch * m * n,
        weight=batch == 1, weight_copies=copies,
    )  # fmt: skip


@cache
def case(gpu: str) -> Case:
    """Give a device's bf16 products."""
    rows = where(
        table("gemm_lowprec"), lambda row: row["gpu"] == gpu and row["dtype"] == "bfloat16"
    )
    m, n, k, us = columns(rows, "m", "n", "k", "us")
    plain = products(np.ones_like(m), m, n, k, item=2, copies=WEIGHT_COPIES)
    return Case(gpu, figures_for(machine(gpu), "bf16"), plain, us * 1e3)


def modelled(case: Case, constants: MatmulConstants) -> Float64s:
    """Give the modelled times of a case."""
    return matmul_times(case.figures, constants, case.products).total_ns


def fitted(cases: list[Case], prior: MatmulConstants, widths: dict[str, float]) -> MatmulConstants:
    """Fit constants to cases, every family with the same weight."""
    families = [FAMILY[each.gpu] for each in cases]
    weights = np.array([1 / families.count(family) for family in families])
    weights /= weights.sum()

    def loss(constants: MatmulConstants) -> float:
        errors = [capped_loss(modelled(each, constants), each.measured_ns) for each in cases]
        return float(weights @ errors)

    return fit(prior, widths, loss)


@cache
def without(family: str) -> MatmulConstants:
    """Fit constants to every family but one ("" for all)."""

    def make() -> MatmulConstants:
        kept = [case(gpu).take(FITTED_ROWS) for gpu in DEVICES if FAMILY[gpu] != family]
        return fitted(kept, PRIOR, WIDTHS)

    return FOLDS.get(f"matmul without {family or 'none'}", PRIOR, make)


def judged(gpu: str, family: str) -> Judged:
    """Give a device's products, modelled without a family."""
    c = case(gpu)
    p = c.products
    keys = list(zip(p.m.tolist(), p.n.tolist(), p.k.tolist(), strict=True))
    return Judged(gpu, keys, c.measured_ns, modelled(c, without(family)), LIMIT)
