"""The published and hand-computed vectors V1-V12 of the serving formulas, to 1e-6."""

import pytest

from etsim.models.serving import fleet, interference, queueing
from etsim.models.serving.card_files import load_card
from etsim.models.serving.group import Group, Precision
from etsim.models.serving.interference import Load
from etsim.models.serving.kv_transfer import KvTransfer
from etsim.models.serving.memory_limit import budget_from_memory
from etsim.models.serving.step_time import (
    Form,
    LinearDecode,
    SumShape,
    critical_batch,
    decode_work,
    linear_decode,
    prefill_seconds,
    published_sum,
    step_parts,
)

GIB = 1 << 30
FP16 = Precision("fp16")
A100 = (312e12, 2.039e12)
H100 = (989e12, 3.35e12)


def exactly(value: float) -> object:
    return pytest.approx(value, rel=1e-6)


def ideal(
    peaks: tuple[float, float], tp: int, *, compute: float = 1.0, memory: float = 1.0
) -> Group:
    """A group without host or link cost."""
    f, b = peaks
    return Group("ideal", tp, tp * f * compute, tp * b * memory, tp * 80.0 * GIB, 1e30, 0.0)


@pytest.mark.parametrize(
    ("batch", "tbt_ms"), [(1, 32.709118), (8, 36.187164), (32, 48.111893), (128, 95.810809)]
)
def test_v1_the_published_sum_form_stands_literally(batch: int, tbt_ms: float) -> None:
    line = published_sum(SumShape(80, 8192, 1024, 8), 312e12, 2e12)
    assert line.alpha == exactly(496.863705e-6)
    assert line.gamma == pytest.approx(32.212255e-3, rel=1e-6)
    assert line.tbt(batch) == exactly(tbt_ms * 1e-3)


def test_v1b_without_grouped_queries() -> None:
    line = published_sum(SumShape(40, 5120, 512, 1), 312e12, 2e12)
    assert line.tbt(1) == pytest.approx(6.476973e-3, rel=1e-6)
    assert line.alpha == exactly(185.517292e-6)
    assert line.gamma == exactly(6.291456e-3)


@pytest.mark.parametrize(
    ("name", "layer", "linear", "total", "kv", "kv_layer"),
    [
        ("llama2-70b", 855638016, 68713185280, 68975329280, 327680, 4096),
        ("llama2-7b", 202375168, 6607077376, 6738149376, 524288, 16384),
        ("opt-13b", 314572800, 12840304640, 12840304640, 819200, 20480),
        ("qwen3-32b", 487587840, 31983534080, 32761446400, 262144, 4096),
    ],
)
def test_v2_parameters_and_kv_bytes(
    name: str, layer: int, linear: int, total: int, kv: int, kv_layer: int
) -> None:
    card = load_card(name)
    assert card.layer_params == layer
    assert card.linear_params == linear
    assert card.total_params == total
    assert card.kv_bytes(2) == kv
    assert card.kv_bytes(2) / card.layers == kv_layer


def decode_ms(name: str, group: Group, b: int, s: float, form: Form) -> float:
    return step_parts(load_card(name), group, FP16, decode_work(b, s)).total(form) * 1e3


def test_v3_70b_on_eight_a100() -> None:
    card, group = load_card("llama2-70b"), ideal(A100, 8)
    assert prefill_seconds(card, group, FP16, 1024) == exactly(56.715804e-3)
    line = linear_decode(card, group, FP16, 1024)
    compute_only = linear_decode(card, group, FP16, 0)
    assert compute_only.alpha == exactly(55.058642e-6)
    assert line.alpha - compute_only.alpha == exactly(20.570397e-6)
    assert line.gamma == pytest.approx(8.424863e-3, rel=1e-6)
    sums = [decode_ms("llama2-70b", group, b, 1024, Form.SUM) for b in (1, 32)]
    assert sums == exactly_all([8.500492, 10.844993])
    roofs = [decode_ms("llama2-70b", group, b, 1024, Form.ROOFLINE) for b in (1, 32)]
    assert roofs == exactly_all([8.445434, 9.083116])


def exactly_all(values: list[float]) -> object:
    return pytest.approx(values, rel=1e-6)


def test_v3_70b_on_eight_h100_and_7b_on_one_a100() -> None:
    card, group = load_card("llama2-70b"), ideal(H100, 8)
    assert prefill_seconds(card, group, FP16, 1024) == exactly(17.892144e-3)
    assert linear_decode(card, group, FP16, 0).gamma == exactly(5.127850e-3)
    assert decode_ms("llama2-70b", group, 32, 1024, Form.ROOFLINE) == exactly(5.528500)
    small, one = load_card("llama2-7b"), ideal(A100, 1)
    assert prefill_seconds(small, one, FP16, 512) == exactly(21.475677e-3)
    assert linear_decode(small, one, FP16, 0).gamma == pytest.approx(6.480704e-3, rel=1e-6)
    assert decode_ms("llama2-7b", one, 32, 512, Form.ROOFLINE) == exactly(10.693521)


def test_the_critical_batch_is_where_computing_takes_as_long_as_the_weights() -> None:
    assert critical_batch(FP16, *A100) == pytest.approx(153.0, abs=0.05)
    assert critical_batch(FP16, *H100) == pytest.approx(295.2, abs=0.05)


def test_v4_queues() -> None:
    assert 0.2 + queueing.md1_wait(3.0, 0.2) == exactly(0.35)
    assert queueing.inter_op_ttft(3, 0.2) == exactly(0.2214285714)
    assert queueing.intra_op_ttft(3, 0.2, 1.6) == exactly(0.1625)
    assert queueing.md1_wait_cdf(0.2, 3, 0.2) == exactly(0.7288475202)
    assert queueing.md1_wait_cdf(0.5, 3, 0.2) == exactly(0.9315159667)
    assert queueing.max_utilisation(0.4, 0.2) == exactly(2 / 3)
    assert queueing.mg1_wait(3.0, 0.2, 0.06) == exactly(0.225)
    assert queueing.many_servers_wait(2, 6, 0.2) == exactly(0.05625)
    assert queueing.erlang_c(2, 1.2) == exactly(0.45)


V5 = LinearDecode(50e-6, 20e-3)


@pytest.mark.parametrize(
    ("rate", "b", "tbt_ms", "ttft", "ttft_vacation", "e2e"),
    [
        (1, 4.494382, 22.471910, 0.1055556, 0.115668, 4.599938),
        (2, 10.256410, 25.641026, 0.1125, 0.122756, 5.240705),
        (4, 28.571429, 35.714286, 0.1333333, 0.144048, 7.276190),
        (6, 70.588235, 58.823529, 0.175, 0.186765, 11.939706),
    ],
)
def test_v5_colocated(
    rate: float, b: float, tbt_ms: float, ttft: float, ttft_vacation: float, e2e: float
) -> None:
    one = interference.colocated(Load(rate, 0.1, 200), V5)
    assert one.batch == exactly(b)
    assert one.tbt_s == exactly(tbt_ms / 1e3)
    assert one.ttft_queue_s == exactly(ttft)
    assert one.ttft_s == pytest.approx(ttft_vacation, abs=6e-7)  # told to six digits
    assert one.e2e_s(200, vacation=False) == exactly(e2e)


def test_v5_capacities() -> None:
    assert interference.colocated_capacity(Load(1, 0.1, 200), V5) == exactly(9.0909091)
    assert interference.decode_capacity(200, V5) == exactly(100)


@pytest.mark.parametrize(
    ("rate", "e2e", "tbt_ms"),
    [
        (1, 4.165960, 20.202020),
        (2, 4.214133, 20.408163),
        (4, 4.32, 20.833333),
        (6, 4.450319, 21.276596),
    ],
)
def test_v5_disaggregated(rate: float, e2e: float, tbt_ms: float) -> None:
    got = interference.disaggregated_e2e(Load(rate, 0.1, 200), V5, exposed_kv_s=0.02)
    assert got == exactly(e2e)
    assert interference.decode_only(rate, 200, V5).tbt_s == exactly(tbt_ms / 1e3)


def test_v6_kv_transfer_overlaps_layer_by_layer() -> None:
    big = KvTransfer(1024 * load_card("llama2-70b").kv_bytes(2), 25e9, 80, 0.1)
    assert (big.kv_bytes, big.serial_s) == (335544320, exactly(13.421773e-3))
    assert big.exposed_s == pytest.approx(0.167772e-3, abs=5e-10)
    slow_link = KvTransfer(512 * load_card("opt-13b").kv_bytes(2), 8e9, 40, 0.05)
    assert (slow_link.kv_bytes, slow_link.serial_s) == (419430400, exactly(52.4288e-3))
    assert slow_link.exposed_s == exactly(3.6788e-3)


@pytest.mark.parametrize(
    ("name", "tp", "reserve", "mean"),
    [
        ("llama2-70b", 8, 1145.66, 1272.9556),
        ("llama2-70b", 4, 408.38, 453.7556),
        ("llama2-7b", 1, 95.11875, 105.6875),
    ],
)
def test_v7_memory_limits_the_batch(name: str, tp: int, reserve: float, mean: float) -> None:
    budget = budget_from_memory(load_card(name), ideal(A100, tp), FP16)
    assert budget.reserved_batch(1024, 256) == pytest.approx(reserve, rel=1e-5)
    assert budget.paged_batch(1024, 256) == pytest.approx(mean, rel=1e-5)


def test_v8_qwen3_32b_needs_two_prefills_and_one_decode() -> None:
    card = load_card("qwen3-32b")
    prefill, decode = ideal(H100, 2, compute=0.6), ideal(H100, 4, compute=0.6, memory=0.8)
    slo = fleet.Slo(1.0, 25e-3)
    d = prefill_seconds(card, prefill, FP16, 2000)
    assert d == pytest.approx(0.108711, abs=5e-7)
    kv = KvTransfer(2000 * card.kv_bytes(2), 2 * 50e9 * 0.8, 64, d)
    assert kv.serial_s == pytest.approx(0.006554, abs=5e-7)
    assert kv.exposed_s == pytest.approx(0.000102, abs=5e-7)
    assert queueing.max_utilisation(1.0, d) == exactly(0.942520)

    def step_s(b: float) -> float:
        work = decode_work(1, 2250)
        parts = step_parts(card, decode, FP16, work)
        return max(parts.compute * b, parts.weights) + parts.kv * b

    limit = budget_from_memory(card, decode, FP16).reserved_batch(2000, 500)
    assert limit == pytest.approx(371.879, abs=5e-4)
    size = fleet.size_disaggregated(Load(10, d, 500), step_s, slo, batch_limit=limit)
    assert size is not None
    assert (size.prefills, size.decodes, size.batch_at_slo) == (2, 1, 304)
    assert size.prefill_rate == exactly(8.669952)
    assert size.decode_rate == exactly(24.399086)
    assert size.prefills * 2 + size.decodes * 4 == 8
    b = interference.steady_batch(10 * 500, step_s)
    assert b == exactly(41.158188)
    assert step_s(b) == exactly(8.231638e-3)
    assert d + queueing.md1_wait(5.0, d) == pytest.approx(0.173440, abs=5e-7)


def test_v9_chunked_prefill_lengthens_the_mean_step() -> None:
    got = interference.chunked_step(4, 1000, 512, mixed_s=0.060, decode_s=0.025)
    assert got == exactly(34.408602e-3)


def test_v10_and_v11_rules_of_other_tools() -> None:
    assert fleet.aiconfigurator_rate(2.403, 10, 8.058, 3) == exactly(21.627)
    load = fleet.DynamoLoad(600, 60, 2000, 500, prefill_correction=0.8)
    got = fleet.dynamo_workers(load, fleet.DynamoEngine(12000, 2), fleet.DynamoEngine(700, 4))
    assert got == (1, 2)


@pytest.mark.parametrize(
    ("prefill_s", "rates"),
    [
        (0.05, (22.222222, 18.181818, 36.363636, 33.333333)),
        (0.1, (12.121212, 8.0, 16.0, 24.0)),
        (0.2, (6.349206, 2.5, 5.0, 7.5)),
    ],
)
def test_v12_disaggregation_wins_only_with_the_right_split(
    prefill_s: float, rates: tuple[float, ...]
) -> None:
    load, slo = Load(1, prefill_s, 200), fleet.Slo(0.3, 0.03)
    together = fleet.goodput_colocated(load, V5, slo, 4)
    apart = [
        fleet.goodput_disaggregated(load, V5, slo, prefills=x, decodes=4 - x) for x in (1, 2, 3)
    ]
    assert [together, *apart] == exactly_all(list(rates))
    assert together > apart[0]
