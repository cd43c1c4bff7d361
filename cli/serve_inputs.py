"""What `etsim serve` is asked, turned into requests and a cluster."""

from dataclasses import dataclass
from pathlib import Path

from ..converters.request_logs import read
from ..models.errors import UsageError
from ..models.hardware import Hardware
from ..models.serving.fleet import Slo
from ..models.serving.kv_transfer import TransferMode
from ..models.serving.memory_limit import budget_from_blocks
from ..models.serving.setup import Setup
from ..models.serving.workload import Workload
from ..models.units import Dimension
from ..simulator.serving.arrivals import Arrivals, Synthetic, generate
from ..simulator.serving.settings import (
    Cluster,
    EngineSettings,
    KvLink,
    Policy,
    Pool,
    Role,
    Routing,
)
from .serving_options import SharedOptions, quantity, seconds


class ServeOptions(SharedOptions):
    """The options of `etsim serve` as click hands them over."""

    requests: Path | None
    rate: float | None
    isl: int
    osl: int
    count: int
    arrivals: str
    gap_cv: float
    burst: int
    length_cv: float
    seed: int
    rate_scale: float
    first: int | None
    tp: int
    replicas: int
    apart: str | None
    prefill_tp: int | None
    decode_tp: int | None
    policy: str
    step_tokens: int
    max_sequences: int
    chunks: bool
    kv_blocks: int | None
    block_tokens: int
    prefix_cache: bool
    routing: str
    kv_transfer: str
    link: str | None
    ttft: str | None
    tpot: str | None
    ttft_includes_kv: bool
    goodput: float | None
    warmup: float
    output: Path | None
    timeline: Path | None
    as_json: bool


def read_workload(told: ServeOptions) -> Workload:
    """Give the requests: of a log, or made."""
    if told["requests"] is not None:
        if told["rate"] is not None:
            raise UsageError(
                "--requests brings its own times", remedy="use --rate-scale to change its rate"
            )
        load = read(told["requests"])
    elif told["rate"] is not None:
        load = generate(
            Synthetic(
                rate=told["rate"],
                requests=told["count"],
                prompt_tokens=told["isl"],
                output_tokens=told["osl"],
                arrivals=Arrivals(told["arrivals"]),
                length_cv=told["length_cv"],
                gap_cv=told["gap_cv"],
                burst=told["burst"],
                seed=told["seed"],
            )
        )
    else:
        raise UsageError("no requests", remedy="give --requests LOG, or --rate with --isl, --osl")
    if told["first"] is not None:
        load = load.first(told["first"])
    return load.scaled(told["rate_scale"]) if told["rate_scale"] != 1 else load


def read_slo(ttft: str | None, tpot: str | None) -> Slo | None:
    """Give the promise, None where none was made; a missing half is not checked."""
    if ttft is None and tpot is None:
        return None
    return Slo(
        seconds(ttft, "--ttft") if ttft else float("inf"),
        seconds(tpot, "--tpot") if tpot else float("inf"),
    )


@dataclass(frozen=True, slots=True)
class Fleet:
    """The cluster with what it costs an hour."""

    cluster: Cluster
    usd_per_hour: float | None
    notes: tuple[str, ...]


def read_fleet(told: ServeOptions, setup: Setup) -> Fleet:
    """Give the cluster: replicas that do both, or pools apart.

    Raises:
        AnalysisError: the model does not fit.
        UsageError: `--apart` is not X:Y.
    """
    if told["apart"] is None:
        pool = _pool(told, setup, Role.BOTH, told["replicas"])
        return _fleet((pool,), setup, told, None)
    prefills, decodes = split(told["apart"])
    pools = (
        _pool(told, setup, Role.PREFILL, prefills),
        _pool(told, setup, Role.DECODE, decodes),
    )
    narrow = min(pool.devices for pool in pools)
    flow = setup.network_bytes_per_s * narrow
    whole = flow * min(prefills, decodes)
    if told["link"] is not None:
        whole = quantity(told["link"], Dimension.BYTE_RATE, "--link")
    link = KvLink(
        bytes_per_s=whole,
        flow_bytes_per_s=min(flow, whole),
        kv_bytes_per_token=setup.card.kv_bytes(setup.precision.kv_bytes),
        layers=setup.card.layers,
        mode=TransferMode(told["kv_transfer"]),
    )
    return _fleet(pools, setup, told, link)


def split(told: str) -> tuple[int, int]:
    """Read X:Y."""
    parts = told.split(":")
    if len(parts) == 2 and all(part.isdecimal() and int(part) > 0 for part in parts):
        return int(parts[0]), int(parts[1])
    raise UsageError(f"--apart {told}: expected X:Y, as in 2:1 (prefill : decode replicas)")


def _pool(told: ServeOptions, setup: Setup, role: Role, replicas: int) -> Pool:
    hardware, tp = setup.hardware, told["tp"]
    if role is Role.PREFILL:
        hardware, tp = setup.prefill_hardware, told["prefill_tp"] or tp
    elif role is Role.DECODE:
        hardware, tp = setup.decode_hardware, told["decode_tp"] or tp
    return Pool(
        name=f"{hardware.name} {role}" if role is not Role.BOTH else hardware.name,
        role=role,
        engine=_engine(told, setup, hardware, tp),
        replicas=replicas,
        devices=tp,
    )


def _engine(told: ServeOptions, setup: Setup, hardware: Hardware, tp: int) -> EngineSettings:
    if told["kv_blocks"] is not None:
        budget = budget_from_blocks(told["kv_blocks"], told["block_tokens"])
    else:
        budget = setup.fitting_budget(hardware, tp)
    return EngineSettings(
        cost=setup.cost(hardware, tp),
        kv_tokens=int(budget.tokens),
        block_tokens=told["block_tokens"],
        step_tokens=told["step_tokens"],
        max_sequences=told["max_sequences"],
        policy=Policy(told["policy"]),
        chunked=told["chunks"],
        prefix_cache=told["prefix_cache"],
    )


def _fleet(pools: tuple[Pool, ...], setup: Setup, told: ServeOptions, link: KvLink | None) -> Fleet:
    by_role = {
        Role.BOTH: setup.hardware,
        Role.PREFILL: setup.prefill_hardware,
        Role.DECODE: setup.decode_hardware,
    }
    prices = [by_role[pool.role].price_usd_per_hour for pool in pools]
    total: float | None = 0.0
    for pool, price in zip(pools, prices, strict=True):
        if price is None or total is None:
            total = None
        else:
            total += price * pool.devices * pool.replicas
    cluster = Cluster(pools, Routing(told["routing"]), link, record=told["timeline"] is not None)
    notes = [f"KV room: {p.engine.kv_tokens:,} tokens on each {p.name}" for p in pools]
    return Fleet(cluster, total, tuple(notes))
