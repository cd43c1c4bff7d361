"""The group that serves a replica: peaks, links, host, memory."""

from dataclasses import replace

import pytest

from etsim.models import specs
from etsim.models.errors import AnalysisError
from etsim.models.hardware import Hardware
from etsim.models.serving.card_files import load_card
from etsim.models.serving.group import (
    PRECISIONS,
    HostCost,
    group_of,
    largest_group,
    peak_flops,
)
from etsim.models.serving.memory_limit import (
    budget_from_blocks,
    budget_from_memory,
    least_devices,
    mean_step,
)

BF16 = PRECISIONS["bf16"]


@pytest.fixture(scope="module")
def h100() -> Hardware:
    return specs.load("h100-sxm")


def test_a_group_is_tp_devices_at_their_efficiency(h100: Hardware) -> None:
    group = group_of(h100, 4, BF16, compute_efficiency=0.5, memory_efficiency=0.8)
    assert group.flops_per_s == pytest.approx(4 * 0.5 * h100.device.peak_tflops["bf16"] * 1e12)
    assert group.bytes_per_s == pytest.approx(4 * 0.8 * 3350e9)
    assert group.link_bytes_per_s == 450e9
    assert largest_group(h100) == 8


def test_a_slower_host_makes_its_share_longer(h100: Hardware) -> None:
    slow = replace(h100, host=replace(h100.host, relative_speed=0.5))
    group = group_of(slow, 1, BF16, host=HostCost(10e-6, 1e-3))
    assert group.host == HostCost(20e-6, 2e-3)


def test_a_dtype_without_its_own_unit_runs_in_the_next_wider() -> None:
    a100 = specs.load("a100-sxm-80gb")
    assert peak_flops(a100, "fp8") == peak_flops(a100, "fp16")
    cpu = specs.load("cpu-cloud-2core")
    assert peak_flops(cpu, "bf16") == peak_flops(cpu, "fp32")


def test_no_peak_and_no_link_are_told(h100: Hardware) -> None:
    bare = replace(h100, device=replace(h100.device, peak_tflops={}, vector_tflops={}))
    with pytest.raises(AnalysisError, match="states no peak for bf16"):
        peak_flops(bare, "bf16")
    alone = replace(h100, links=())
    assert largest_group(alone) == 1
    with pytest.raises(AnalysisError, match="no link between its devices"):
        group_of(alone, 2, BF16)


def test_copies_of_kv_take_room(h100: Hardware) -> None:
    """Latent KV stands on every device: twice the devices hold twice the copies."""
    card = load_card("deepseek-v3")
    one = budget_from_memory(card, group_of(h100, 16, BF16), PRECISIONS["fp8"])
    bytes_left = 16 * h100.device.memory_bytes * 0.9 - card.total_params
    assert one.tokens == pytest.approx(bytes_left / (card.kv_bytes(2) * 16))


def test_the_engines_own_blocks_win() -> None:
    budget = budget_from_blocks(1000, 16)
    assert budget.tokens == 16000
    assert budget.paged_batch(100, 200) == 80


def test_least_devices_hold_the_weights() -> None:
    assert least_devices(load_card("llama2-7b"), 80e9, BF16) == 1
    assert least_devices(load_card("llama2-70b"), 80e9, BF16) == 2


def test_the_mean_step_holds_what_fits() -> None:
    """Room for 10 requests of 100 + 100/2: 10 decode, and 10/100 of a prompt of 100 comes along."""
    step = mean_step(100, 100, 64, budget_from_blocks(1500, 1))
    assert (step.decode_batch, step.kv_tokens) == (10, 1500)
    assert (step.prompts, step.prefill_tokens) == (0.1, 10)
