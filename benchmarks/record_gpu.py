"""Record real runs and single kernels on this machine's GPU, to judge predictions by.

    python -m etsim.benchmarks.record_gpu --out recorded_gpu
    python -m etsim.benchmarks.record_gpu --out /tmp/smoke --device cpu --quick

Needs torch and nothing else. Writes, for each run, the pair of traces and the wall time of its
steps; Kineto's trace recorded alone (`<run>_alone`), whose host times are nearer to the truth,
since the execution trace is written while the operators run; `walls.json` with the time of each
step without a profiler, with Kineto alone and as a pair; `kernels.csv`; `machine.json`.
"""

import argparse
import csv
import gzip
import itertools
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from torch.profiler import profile, record_function

from etsim.converters.capture import capture
from etsim.converters.scrub import scrub

from .gpu import workloads
from .gpu.kernels import DIMS, HEADER, kernels, measure
from .gpu.sizes import FULL, QUICK
from .gpu.workloads import Place, Step

WITH_SYNCS = torch._C._profiler._ExperimentalConfig(enable_cuda_sync_events=True)
STEPS = 3
WARM_UP_STEPS = 5

RUNS: dict[str, Callable[[Place], Step]] = {
    "mlp": workloads.mlp_training,
    "mlp_queued": workloads.mlp_training,
    "conv": workloads.conv_training,
    "transformer": workloads.decoder_training,
    "prefill": workloads.prefill,
    "decode": workloads.decode,
    "prefill_graph": workloads.graphed(workloads.prefill),
    "decode_graph": workloads.graphed(workloads.decode),
    "ddp": workloads.ddp_training,
}

# Runs whose host never waits between steps, so that work piles up before the device.
QUEUED = {"mlp_queued"}
NEEDS_GPU = {"prefill_graph", "decode_graph"}


def wait_for(device: torch.device) -> None:
    """Wait until the device has done all that was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed_steps(step: Step, name: str, place: Place, mark: Callable[[], None]) -> None:
    """Run the steps, each under its name; `mark` is called before, between and after."""
    wait_for(place.device)
    mark()
    for number in range(STEPS):
        with record_function(f"step_{number}"):
            step()
            if name not in QUEUED or number == STEPS - 1:
                wait_for(place.device)
        mark()


def clocked_steps(step: Step, name: str, place: Place) -> list[int]:
    """Run the steps; give their wall times in ns."""
    marks_ns: list[int] = []
    timed_steps(step, name, place, lambda: marks_ns.append(time.perf_counter_ns()))
    return [end - begin for begin, end in itertools.pairwise(marks_ns)]


def record_run(name: str, place: Place, out: Path) -> dict[str, list[int]]:
    """Run the steps without a profiler, with Kineto alone, and as a pair; give all steps in ns."""
    step = RUNS[name](place)
    for _ in range(WARM_UP_STEPS):
        step()
    plain_ns = clocked_steps(step, name, place)
    with profile(record_shapes=True, experimental_config=WITH_SYNCS) as profiler:
        alone_ns = clocked_steps(step, name, place)
    alone = out / f"{name}_alone.trace.json"
    profiler.export_chrome_trace(str(alone))
    with capture(out, name=name) as recording:
        timed_steps(step, name, place, recording.mark)
    for path in (alone, *recording.files[:2]):
        pack(path)
    return {
        "plain": plain_ns,
        "kineto_alone": alone_ns,
        "pair": recording.steps_ns,
    }


def pack(trace: Path) -> None:
    """Put a compressed trace that names no machine in a plain one's place."""
    small = scrub(trace.read_text(encoding="utf-8"))
    trace.with_name(f"{trace.name}.gz").write_bytes(gzip.compress(small.encode(), mtime=0))
    trace.unlink()


def record_all(names: list[str], place: Place, out: Path) -> dict[str, dict[str, list[int]]]:
    """Record the runs one after another; the first recording of a process is thrown away."""
    walls = {}
    with tempfile.TemporaryDirectory() as aside:
        with capture(aside):  # CUPTI takes seconds to wake up
            torch.ones(1, device=place.device).add_(1)
        for name in names:
            group = workloads.process_group(place, Path(aside)) if name == "ddp" else nullcontext()
            with group:
                walls[name] = record_run(name, place, out)
            told = (f"{how} {sum(ns) / 1e6:.2f} ms" for how, ns in walls[name].items())
            print(f"{name}: {', '.join(told)}")
            if place.device.type == "cuda":
                torch.cuda.empty_cache()
    return walls


def time_kernels(path: Path, device: torch.device, *, quick: bool) -> None:
    """Write the kernels' times as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        timed = list(kernels(quick=quick))
        for kernel in timed:
            cold_us, hot_us = measure(kernel, device)
            dtype = str(kernel.dtype).removeprefix("torch.")
            dims = "x".join(map(str, kernel.dims))
            writer.writerow((kernel.op, dtype, dims, f"{cold_us:.3f}", f"{hot_us:.3f}"))
    print(f"kernels: {len(timed)} timed")


def machine(device: torch.device) -> dict[str, object]:
    """Say what the figures were measured on."""
    told: dict[str, object] = {"torch": torch.__version__, "dims": DIMS}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        told["device"] = properties.name
        told["sm_count"] = properties.multi_processor_count
        told["memory_bytes"] = properties.total_memory
        told["cuda"] = torch.version.cuda
    return told


def parse_args() -> argparse.Namespace:
    """Read the knobs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="small sizes: a smoke test")
    parser.add_argument("--only", action="append", choices=(*RUNS, "kernels"))
    return parser.parse_args()


def main() -> None:
    """Record what was asked for; all of it if nothing was."""
    args = parse_args()
    torch.manual_seed(0)
    place = Place(torch.device(args.device), QUICK if args.quick else FULL)
    wanted = args.only or [*RUNS, "kernels"]
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "machine.json").write_text(json.dumps(machine(place.device), indent=1) + "\n")
    names = [name for name in wanted if name in RUNS]
    left_out = [name for name in names if args.device == "cpu" and name in NEEDS_GPU]
    if left_out:
        print(f"left out, they need a GPU: {', '.join(left_out)}")
    walls = record_all([name for name in names if name not in left_out], place, args.out)
    (args.out / "walls.json").write_text(json.dumps(walls, indent=1) + "\n")
    if "kernels" in wanted:
        time_kernels(args.out / "kernels.csv", place.device, quick=args.quick)


if __name__ == "__main__":
    main()
