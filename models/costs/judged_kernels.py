"""A table of measured kernels against the model: errors by class and how many are covered."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import AnalysisError
from ..hardware import Hardware
from .device_model import estimate
from .measured_kernel import MeasuredKernel
from .spreads import model_spread
from .work import work_of

Z_90 = 1.645
Float64s = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClassError:
    """One class of work."""

    work_class: str
    count: int
    median_error: float
    mean_error: float


@dataclass(frozen=True, slots=True)
class JudgedKernels:
    """Every kernel's measured and predicted time, and errors |predicted / measured - 1|."""

    target: str
    median_error: float
    mean_error: float
    coverage: float
    classes: tuple[ClassError, ...]
    measured_ns: tuple[float, ...]
    predicted_ns: tuple[float, ...]


def judge(hardware: Hardware, kernels: Sequence[MeasuredKernel]) -> JudgedKernels:
    """Judge the model of a machine by measured kernels.

    Raises:
        AnalysisError: the table is empty.
    """
    if not kernels:
        raise AnalysisError("the table holds no kernels")
    works = [work_of(kernel.operator) for kernel in kernels]
    measured = np.array([kernel.duration_ns for kernel in kernels])
    predicted = estimate(hardware, works).time_ns
    error = np.abs(predicted / measured - 1)
    limit = Z_90 * np.array([model_spread(work.work_class) for work in works])
    names = np.array([str(work.work_class) for work in works])
    return JudgedKernels(
        target=hardware.name,
        median_error=float(np.median(error)),
        mean_error=float(np.mean(error)),
        coverage=float(np.mean(np.abs(np.log(predicted / measured)) <= limit)),
        classes=tuple(_class_error(name, error[names == name]) for name in sorted(set(names))),
        measured_ns=tuple(measured.tolist()),
        predicted_ns=tuple(predicted.tolist()),
    )


def _class_error(name: str, error: Float64s) -> ClassError:
    return ClassError(name, len(error), float(np.median(error)), float(np.mean(error)))
