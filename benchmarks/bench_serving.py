"""How fast the serving simulation and the planner are, in events and candidates a CPU second.

    python -m etsim.benchmarks.bench_serving [LOG]

An event is an arrival, an engine step, a completion, a preemption or a KV transfer. Steps between
which nothing can change are taken as one run (the outcome is that of single steps, to the tick);
"singly" takes every step by itself, for what the event loop alone does.
"""

import sys
import time
from pathlib import Path

import numpy as np

from etsim.converters.request_logs import read
from etsim.models import specs
from etsim.models.serving.candidates import curves_of, evaluate
from etsim.models.serving.card_files import load_card
from etsim.models.serving.curves import Ask
from etsim.models.serving.fleet import Slo
from etsim.models.serving.group import PRECISIONS
from etsim.models.serving.setup import FormulaKind, Setup
from etsim.models.serving.workload import Workload
from etsim.simulator.serving.arrivals import Synthetic, generate
from etsim.simulator.serving.cluster import simulate
from etsim.simulator.serving.plan_check import cluster_of, trial_requests, try_fleet
from etsim.simulator.serving.settings import Cluster, EngineSettings, Policy, Pool, Role

LOG = Path(__file__).resolve().parent.parent.parent / "shared/data/requests/azure_conv.csv.gz"
REPEATS = 3


def setup_of(model: str, *machines: str) -> Setup:
    """A setup on the named machines: together and prefill on the first, decode on the last."""
    first, last = specs.load(machines[0]), specs.load(machines[-1])
    return Setup(load_card(model), PRECISIONS["bf16"], first, first, last, FormulaKind.ENGINE,
                 1000, 40e9)  # fmt: skip


def log_of(argument: str | None) -> Workload:
    """The log named, else Azure's beside the checkout, else one like it."""
    path = Path(argument) if argument else LOG
    if path.exists():
        return read(path)
    return generate(Synthetic(5.53, 19366, 1155, 211, length_cv=1.0))


def timed_simulation(name: str, cluster: Cluster, load: Workload) -> None:
    """Print the best of some runs."""
    best = float("inf")
    for _ in range(REPEATS):
        begin = time.process_time()
        run = simulate(cluster, load)
        best = min(best, time.process_time() - begin)
    events, turns = run.events / best, run.loop_events / best
    rates = f"{events:11,.0f}/s {run.loop_events:8,d} turns {turns:9,.0f}/s"
    print(f"{name:32s} {len(load):7,d} requests {best:5.2f} s {run.events:9,d} events {rates}")


def main() -> None:
    """Print the table."""
    load = log_of(sys.argv[1] if len(sys.argv) > 1 else None)
    setup = setup_of("llama3-70b", "h100-sxm")
    cost = setup.cost(setup.hardware, 4)
    room = int(setup.budget(setup.hardware, 4).tokens)
    for policy in Policy:
        for replicas in (1, 2):
            pool = Pool("h100", Role.BOTH, EngineSettings(cost, room, policy=policy), replicas, 4)
            timed_simulation(f"{policy}, {replicas} x tp 4", Cluster((pool,)), load)
    singly = Cluster((pool,), take_runs=False)
    timed_simulation("the last, every step singly", singly, load.first(4000))
    planned()


def planned() -> None:
    """Time the closed forms over at least 10,000 fleets, and one trial."""
    mixed = setup_of("llama3-8b", "h100-sxm", "a100-sxm-80gb")
    ask = Ask(50.0, np.array([2000.0]), 300.0, Slo(1.0, 0.03))
    begin, fleets = time.process_time(), 0
    while fleets < 10_000:
        found = evaluate(mixed, ask, curves_of(mixed, ask))
        fleets += len(found)
    spent = time.process_time() - begin
    print(f"plan: {fleets:,} candidates by closed forms in {spent:.2f} s, {fleets / spent:,.0f}/s")
    fleet = found.fleet(0)
    requests = trial_requests(ask, 0)
    begin = time.process_time()
    try_fleet(mixed, ask, fleet, requests, 0)
    spent = time.process_time() - begin
    pools = len(cluster_of(mixed, fleet).pools)
    print(f"plan: one trial of {len(requests):,} requests on {pools} pool(s) in {spent:.2f} s")


if __name__ == "__main__":
    main()
