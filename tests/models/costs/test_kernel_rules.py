"""Kernels judged by name: the rules that come along, and a user's own before them."""

from pathlib import Path

import pytest

from etsim.models.costs.kernel_rules import default_rules, read_rules, with_own_rules
from etsim.models.costs.work_values import WorkClass
from etsim.models.errors import SpecError


@pytest.mark.parametrize(
    ("kernel", "work_class"),
    [
        ("ampere_bf16_s16816gemm_bf16_128x64_ldg8_f2f_stages_64x3_tn", WorkClass.MATMUL),
        ("Cijk_Alik_Bljk_BBS_BH_MT128x128x64", WorkClass.MATMUL),
        ("void flash_fwd_kernel<Flash_fwd_kernel_traits<64>>", WorkClass.PREFILL),
        ("paged_attention_ll4mi_QKV_mfma16_kernel", WorkClass.DECODE),
        ("void at::native::vectorized_elementwise_kernel<4, f>", WorkClass.ELEMENTWISE),
        ("void cunn_SoftMaxForward<8>", WorkClass.SOFTMAX),
        ("cudnn_ampere_scudnn_winograd_128x128", WorkClass.CONVOLUTION),
        ("ncclDevKernel_AllReduce_Sum_bf16_RING_LL", WorkClass.COLLECTIVE),
        ("void multi_tensor_apply_kernel<adam>", WorkClass.OPTIMISER),
    ],
)
def test_well_known_kernels_are_classified(kernel: str, work_class: WorkClass) -> None:
    assert default_rules().work_class(kernel) is work_class


def test_an_unknown_name_has_no_class() -> None:
    assert default_rules().work_class("zzz") is None


def test_own_rules_come_first(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text('rules:\n  - {pattern: "zzz|gemm", class: softmax}\n')
    rules = with_own_rules(own)
    assert rules.work_class("my_gemm") is WorkClass.SOFTMAX
    assert rules.work_class("ncclAllReduce") is WorkClass.COLLECTIVE


def test_all_faults_of_a_rule_file_are_told_at_once() -> None:
    text = 'rules:\n  - {pattern: "(", class: matmul}\n  - {pattern: x, class: magic}\nmore: 1\n'
    with pytest.raises(SpecError) as caught:
        read_rules(text, "own.yaml")
    assert set(caught.value.faults) == {"rules[0]", "rules[1]", "more"}
