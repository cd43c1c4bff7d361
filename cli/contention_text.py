"""How shared links are told: the time with them, the links, the transfers slowed most."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from .output import ms, note, percent, print_table, say, size

if TYPE_CHECKING:  # predict imports this file for its options alone
    from ..simulator.events.contention import Contention, LinkReport, Slowed

F = TypeVar("F", bound=Callable[..., None])
LINK_HEADER = ("link", "GB/s", "transfers", "carried", "busy ms", "crowded ms", "used")
SLOWED_HEADER = ("transfer", "rank", "start ms", "alone ms", "shared ms", "times", "held back by")
MOST_LINKS = 10

contention_option: Callable[[F], F] = click.option(
    "--contention",
    "shared_links",
    is_flag=True,
    help="Also let transfers share links, and tell what that costs.",
)
placement_option: Callable[[F], F] = click.option(
    "--placement",
    metavar="KEY=N,...",
    default="",
    help="Where ranks stand, for --contention: ranks-per-node, devices-per-nic, "
    "devices-per-switch, devices-per-port.",
)


def print_contention(found: "Contention") -> None:
    """Print what sharing costs, link by link and transfer by transfer."""
    say(f"With shared links: {_headline(found)}")
    if found.without_ns != found.predicted_ns:
        say(
            f"Where its ranks stand makes {ms(found.without_ns)} ms of {ms(found.predicted_ns)} "
            f"ms: {found.repriced:,} rows of transfers between nodes take the network's price."
        )
    if found.links:
        rows = [_link_row(link) for link in found.links[:MOST_LINKS]]
        print_table(LINK_HEADER, rows, title=_links_title(found))
    if found.slowed:
        rows = [_slowed_row(it) for it in found.slowed]
        print_table(SLOWED_HEADER, rows, title="Transfers slowed most")


def print_basis(found: "Contention") -> None:
    """Print what the answer rests on, and what could not be known."""
    say(f"\nShared links: placed as {found.placement}. Taken for granted:")
    for text in found.assumptions:
        say(f"  - {text}")
    for count, what in (
        (found.unknown_sizes, "transfers are of unknown size and taken to fill their links"),
        (found.unplaced, "transfers cross no link that the target states, and share nothing"),
        (found.priced_nearer, "measured transfers between nodes are scaled as if inside one"),
        (found.begun_late, "transfers start before the end they wait for; alone until then"),
    ):
        if count:
            note(f"{count:,} {what}")


def _headline(found: "Contention") -> str:
    if not found.flows:
        return "the run has no transfer between ranks or with the host, so nothing is shared."
    if not found.slowed_flows:
        return (
            f"{ms(found.shared_ns)} ms, as without: no two of the {found.flows:,} transfers want "
            "more of a link than it gives."
        )
    change = found.shared_ns / found.without_ns - 1 if found.without_ns else 0.0
    return (
        f"{ms(found.shared_ns)} ms against {ms(found.without_ns)} ms without ({100 * change:+.2f} "
        f"%); {found.slowed_flows:,} of {found.flows:,} transfers lose time to others."
    )


def _links_title(found: "Contention") -> str:
    if len(found.links) <= MOST_LINKS:
        return "Links"
    return f"Links, the {MOST_LINKS} most crowded of {len(found.links):,}"


def _link_row(link: "LinkReport") -> tuple[str, ...]:
    return (
        link.name,
        f"{link.bandwidth_gbps:,.1f}",
        f"{link.flows:,}",
        size(link.carried_bytes),
        ms(link.busy_ns),
        ms(link.crowded_ns),
        percent(link.utilisation),
    )


def _slowed_row(it: "Slowed") -> tuple[str, ...]:
    return (
        it.name if len(it.name) <= 40 else it.name[:37] + "...",
        str(it.rank),
        ms(it.start_ns),
        ms(it.alone_ns),
        ms(it.shared_ns),
        f"{it.shared_ns / max(1, it.alone_ns):.2f}",
        it.link,
    )
