"""Moving the KV cache from prefill to decode: serial, or layer by layer behind the computing.

serial    = s k / B_net + o
layered   per layer the prefill computes c = t_p / L and sends τ = s k / (L B_net):
          exposed = τ             if τ <= c   (only the last layer's send sticks out)
                    c + L τ - t_p  else       (the link is the slower of the two)

The first token leaves from the prefill side, so TTFT excludes the transfer and the first gap
between tokens includes it (DistServe's convention).
"""

from dataclasses import dataclass
from enum import StrEnum

from .queueing import md1_wait


class TransferMode(StrEnum):
    """When the KV cache leaves."""

    SERIAL = "serial"
    LAYERED = "layered"


@dataclass(frozen=True, slots=True)
class KvTransfer:
    """One prompt's cache on its way.

    Attributes:
        kv_bytes: s k.
        link_bytes_per_s: B_net = min(tp_p, tp_d) B_nic e.
        layers: L.
        prefill_s: t_p, what a layered transfer hides behind.
        overhead_s: o, once a transfer.
    """

    kv_bytes: float
    link_bytes_per_s: float
    layers: int
    prefill_s: float
    overhead_s: float = 0.0

    @property
    def serial_s(self) -> float:
        """Time on the link: s k / B_net + o."""
        return self.kv_bytes / self.link_bytes_per_s + self.overhead_s

    @property
    def exposed_s(self) -> float:
        """What a layered transfer adds after the prefill's end."""
        c = self.prefill_s / self.layers
        tau = self.kv_bytes / self.layers / self.link_bytes_per_s
        if tau <= c:
            return tau + self.overhead_s
        return c + self.layers * tau - self.prefill_s + self.overhead_s

    def delay_s(self, mode: TransferMode) -> float:
        """Give the delay between the prefill's end and the decode's start."""
        return self.serial_s if mode is TransferMode.SERIAL else self.exposed_s


def link_utilisation(rate: float, kv_bytes: float, link_bytes_per_s: float) -> float:
    """ρ_net = λ s k / B_link."""
    return rate * kv_bytes / link_bytes_per_s


def link_wait(rate: float, kv_bytes: float, link_bytes_per_s: float) -> float:
    """Wait for a shared link taken in turn (M/D/1); infinite where it cannot keep up."""
    service = kv_bytes / link_bytes_per_s
    return md1_wait(rate, service) if rate * service < 1 else float("inf")
