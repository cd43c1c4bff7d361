"""Write models/costs/constants.yaml: the constants fitted to all measured devices together.

python -m benchmarks.accuracy.fit
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import yaml

from etsim.models.costs.constants import Constants, RowConstants

from . import attention, gemm, lanes
from .folds import FOLDS

TARGET = Path(__file__).resolve().parents[2] / "models" / "costs" / "constants.yaml"
SHORTEST_KERNEL_NS = 2500.0  # the row tables hold the host's floor instead of the device's

HEAD = """\
# Constants of the analytic device model; `python -m benchmarks.accuracy.fit` writes this file.
# Meaning of each: models/costs/constants.py. Every set is fitted to all devices of its table;
# what they are worth on a device left out stands in docs/accuracy.md.
"""

FITTED_TO: Mapping[str, str] = {
    "matmul": "gemm_lowprec, bf16: A100, H100, H200, L40S",
    "matmul_lanes": "ops_fp32, linear and bmm over 60 us: P100, T4, V100, A100-40, MI100",
    "convolution": "taken from matmul: no table of convolutions on matrix units",
    "convolution_lanes": "ops_fp32, conv, implicit products of 2.25 times fewer steps (Winograd)",
    "prefill": "attn_prefill: A100, H100, H200, L40S",
    "decode": "attn_decode: A100, H100, H200, L40S",
    "streaming": "shortest kernels of gemm_lowprec; the bandwidth's share: figures.py",
    "softmax": "ops_fp32, softmax over 60 us: P100, P4, T4, V100, A100-40, MI100",
    "norm": "ops_fp32, ln over 60 us: the same devices",
}


def constants() -> dict[str, Constants]:
    """Fit every set to all its devices."""
    on_lanes = replace(
        lanes.products_without(""), latency_ns=gemm.without("").latency_ns,
        split_ns=gemm.without("").split_ns,
    )  # fmt: skip
    return {
        "matmul": gemm.without(""),
        "matmul_lanes": on_lanes,
        "convolution": gemm.without(""),
        "convolution_lanes": replace(on_lanes, compute=0.77, overlap=1.0),
        "prefill": attention.prefill_without(""),
        "decode": attention.decode_without(""),
        "streaming": RowConstants(),
        "softmax": replace(lanes.rows_without("softmax", ""), latency_ns=SHORTEST_KERNEL_NS),
        "norm": replace(lanes.rows_without("ln", ""), latency_ns=SHORTEST_KERNEL_NS),
    }


def main() -> None:
    """Fit and write."""
    FOLDS.fit_anew = True
    sets = {
        name: {key: float(f"{value:.4g}") for key, value in asdict(found).items()}
        for name, found in constants().items()
    }
    body = yaml.safe_dump({"fitted_to": dict(FITTED_TO), "constants": sets}, sort_keys=False)
    TARGET.write_text(HEAD + body, encoding="utf-8")
    print(f"wrote {TARGET.name}: {len(sets)} sets")


if __name__ == "__main__":
    main()
