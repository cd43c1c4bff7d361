"""`etsim plan`: how many of which device a serving load needs, together or apart."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, Unpack

import click
import numpy as np

from ..converters.request_logs import read
from ..models.errors import UsageError
from ..models.serving.curves import LENGTH_QUANTILES, Ask
from ..models.serving.fleet import Slo
from ..models.serving.workload import squared_variation
from ..simulator.serving.planner import Effort, plan
from .output import json_option, print_json
from .plan_report import as_json, print_plan
from .serving_options import SharedOptions, read_setup, seconds, serving_options

F = TypeVar("F", bound=Callable[..., None])

_OPTIONS = (
    click.option("--rate", type=click.FloatRange(min=1e-6), help="Requests a second."),
    click.option("--isl", type=click.IntRange(min=1), help="Prompt tokens of a request."),
    click.option("--osl", type=click.IntRange(min=1), help="Answer tokens of a request."),
    click.option("--requests", type=click.Path(path_type=Path), metavar="LOG",
                 help="Take rate and lengths from a log instead (Azure CSV, Mooncake JSONL)."),
    click.option("--ttft", required=True, metavar="TIME", help="Promise: time to first token, 1s."),
    click.option("--tpot", required=True, metavar="TIME", help="Promise: time per token, 20ms."),
    click.option("--share", type=click.FloatRange(0.5, 0.999), default=0.9, show_default=True,
                 help="Share of the requests that must keep each promise."),
    click.option("--max-devices", type=click.IntRange(min=1), help="The most devices there are."),
    click.option("--trials", type=click.IntRange(min=2), default=20, show_default=True,
                 help="Fleets tried by simulation."),
    click.option("--break-even/--no-break-even", default=True,
                 help="Look where apart and together change places."),
    click.option("--seed", type=int, default=0, help="Of the trials' requests."),
)  # fmt: skip


class PlanOptions(SharedOptions):
    """The options of `etsim plan` as click hands them over."""

    rate: float | None
    isl: int | None
    osl: int | None
    requests: Path | None
    ttft: str
    tpot: str
    share: float
    max_devices: int | None
    trials: int
    break_even: bool
    seed: int
    as_json: bool


def _options(function: F) -> F:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command(short_help="Say how many of which device a serving load needs.")
@serving_options
@_options
@json_option
def command(**told: Unpack[PlanOptions]) -> None:
    """Say how many of which device a serving load needs, and whether to keep prefill apart.

    \b
    etsim plan --model qwen3-32b --rate 10 --isl 4000 --osl 500 --ttft 1s --tpot 20ms
    etsim plan --model llama3-70b --requests log.csv.gz --ttft 2s --tpot 50ms --decode-hw a100
    """  # noqa: D301  # click reads \b as "keep these lines"
    ask = read_ask(told)
    setup = read_setup(told, ask.prompt)
    effort = Effort(told["trials"], told["max_devices"], told["break_even"], told["seed"])
    answer = plan(setup, ask, effort)
    if told["as_json"]:
        print_json(as_json(answer, setup, ask))
    else:
        print_plan(answer, setup, ask)


def read_ask(told: PlanOptions) -> Ask:
    """Read the load: of a log, or the three numbers.

    Raises:
        UsageError: neither is complete.
    """
    slo = Slo(seconds(told["ttft"], "--ttft"), seconds(told["tpot"], "--tpot"))
    if told["requests"] is not None:
        log = read(told["requests"])
        logged = told["rate"] or log.rate
        if logged <= 0:
            raise UsageError("one request has no rate", remedy="give --rate beside --requests")
        shares = (np.arange(LENGTH_QUANTILES) + 0.5) / LENGTH_QUANTILES
        return Ask(
            rate=logged,
            prompts=np.quantile(log.prompt_tokens, shares),
            output=log.mean_output,
            slo=slo,
            share=told["share"],
            output_cv2=squared_variation(log.output_tokens),
        )
    rate, isl, osl = told["rate"], told["isl"], told["osl"]
    if rate is None or isl is None or osl is None:
        raise UsageError("what load?", remedy="give --rate, --isl and --osl, or --requests LOG")
    return Ask(rate, np.array([float(isl)]), float(osl), slo, told["share"])
