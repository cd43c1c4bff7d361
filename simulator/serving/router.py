"""Which replica gets a request."""

from collections.abc import Callable, Sequence
from itertools import count

from .engine import Engine
from .ledger import Ledger
from .settings import Routing

Router = Callable[[int], Engine]


def router(routing: Routing, engines: Sequence[Engine], ledger: Ledger) -> Router:
    """Give the function that chooses among engines; ties go to the lowest index."""
    if len(engines) == 1:
        return lambda _request: engines[0]
    turns = count()

    def tokens(engine: Engine) -> int:
        begun = [request for request, _take in engine.chunks]
        computing: int = sum(ledger.todo[request] for request in [*engine.waiting, *begun])
        return computing + engine.batch.kv

    def cached(engine: Engine, request: int) -> int:
        if not ledger.prefix:
            return 0
        return engine.admission.blocks.matching(ledger.prefix[request])

    match routing:
        case Routing.ROUND_ROBIN:
            return lambda _request: engines[next(turns) % len(engines)]
        case Routing.LEAST_REQUESTS:
            return lambda _request: min(engines, key=lambda e: (e.load_requests, e.index))
        case Routing.LEAST_TOKENS:
            return lambda _request: min(engines, key=lambda e: (tokens(e), e.index))
        case Routing.CACHE:
            return lambda request: min(
                engines, key=lambda e: (-cached(e, request), tokens(e), e.index)
            )
