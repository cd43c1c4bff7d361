"""Record runs in pairs, without and with one change of memory each, for `memory_truth.py`.

    python -m etsim.benchmarks.memory_runs OUT [--only NAME ...]

The batch is so large that activations, not the model, make the peak. One step a run: times do not
matter here. OUT/<name>.allocated.json holds what PyTorch's allocator says of the same training.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from .whatif_runs import BASE, Variant, record, trainer

STEPS = 1
LARGE = replace(BASE, name="large", batch=16, length=64)
VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        LARGE,
        replace(LARGE, name="batch", batch=48),
        replace(LARGE, name="quarter", batch=4),
        replace(LARGE, name="length", length=192),
        replace(LARGE, name="half_length", length=32),
        replace(LARGE, name="layers", layers=5),
        replace(LARGE, name="accumulate", micros=3),
        replace(LARGE, name="fused", fused=True),
        replace(LARGE, name="checkpoint", checkpointed=True),
        replace(LARGE, name="deep_checkpoint", layers=5, checkpointed=True),
        replace(LARGE, name="split", batch=4, micros=4),
    )
}


def allocated_bytes(variant: Variant) -> int:
    """Give the peak of all allocations from before the model was made, over two steps."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step = trainer(variant)
        for _ in range(2):
            step()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "memory.json"
        profiled.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    changes = [(e["ts"], e["args"]["Bytes"]) for e in events if e.get("name") == "[memory]"]
    living = peak = 0
    for _, change in sorted(changes, key=lambda found: found[0]):
        living += change
        peak = max(peak, living)
    return peak


def main() -> None:
    """Record them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="*", choices=sorted(VARIANTS), default=sorted(VARIANTS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name in args.only:
        record(args.out, VARIANTS[name], 0, STEPS)
        file = args.out / f"{name}.allocated.json"
        file.write_text(json.dumps(allocated_bytes(VARIANTS[name])))


if __name__ == "__main__":
    main()
