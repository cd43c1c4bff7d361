"""What a collective is: from the kernel's own words, else from what issued it, else its name."""

from typing import Any

import pytest

from etsim.converters.link import names
from etsim.models.graph import NONE, Category, Collective
from etsim.tests.kineto_maker import Recording, Seen

NCCL = "ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)"


def described(seen: Seen, name: str) -> Collective:
    return seen.graph.collectives[int(seen.graph.nodes.collective[seen.row(name)])]


def kernel(name: str, **args: Any) -> Seen:
    run = Recording()
    run.kernel(name, 10, 20, by=run.launch(0, 5), said=args)
    return run.linked()


def test_the_kernels_own_words_tell_everything() -> None:
    seen = kernel(
        NCCL,
        **{"Collective name": "allreduce", "dtype": "BFloat16", "In msg nelems": 1000,
           "Out msg nelems": 1000, "Group size": 4, "Process Group Name": "default_pg",
           "Process Group Ranks": "[0, 2, 4, 6]", "Seq": 12},
    )  # fmt: skip
    assert described(seen, NCCL) == Collective(
        "all_reduce", "default_pg", (0, 2, 4, 6), "BFloat16", 2000
    )
    row = seen.row(NCCL)
    assert seen.graph.nodes.sequence[row] == 12
    assert seen.graph.nodes.category[row] == Category.COLLECTIVE


def test_an_all_gather_moves_its_output_an_all_reduce_its_input() -> None:
    sizes = {"dtype": "Float", "In msg nelems": 100, "Out msg nelems": 400}
    gather = kernel("ncclAllGather", **{"Collective name": "all_gather_into_tensor", **sizes})
    assert described(gather, "ncclAllGather").message_bytes == 1600
    reduce = kernel("ncclAllReduce", **{"Collective name": "allreduce", **sizes})
    assert described(reduce, "ncclAllReduce").message_bytes == 400


@pytest.mark.parametrize(
    ("kind", "category", "peer"), [("send", Category.SEND, 3), ("recv", Category.RECV, 1)]
)
def test_send_and_receive_know_their_peer(kind: str, category: Category, peer: int) -> None:
    args = {"Collective name": kind, "dtype": "Half", "In msg nelems": 8, "Out msg nelems": 8,
            "Src Rank": 1, "Dst Rank": 3}  # fmt: skip
    seen = kernel("ncclDevKernel_SendRecv", **args)
    what = described(seen, "ncclDevKernel_SendRecv")
    assert (what.kind, what.peer, what.message_bytes) == (kind, peer, 16)
    assert seen.graph.nodes.category[seen.row("ncclDevKernel_SendRecv")] == category


def test_a_silent_kernel_is_described_by_what_issued_it() -> None:
    run = Recording()
    run.op("c10d::allreduce_", 0, 50, shapes=[[256, 4]], types=["c10::BFloat16"])
    run.kernel(NCCL, 60, 90, by=run.launch(10, 20))
    assert described(run.linked(), NCCL) == Collective(
        "all_reduce", dtype="c10::BFloat16", message_bytes=2048
    )


def test_record_param_comms_around_the_launch_speaks_for_the_kernel() -> None:
    run = Recording()
    said = {"Collective name": "broadcast", "dtype": "Int", "In msg nelems": 10,
            "Process Group Name": "1"}  # fmt: skip
    run.op("record_param_comms", 0, 50, said=said)
    run.kernel("ncclDevKernel_Broadcast", 60, 90, by=run.launch(10, 20))
    assert described(run.linked(), "ncclDevKernel_Broadcast") == Collective(
        "broadcast", "1", dtype="Int", message_bytes=40
    )


def test_without_any_word_the_name_tells_the_kind_alone() -> None:
    assert described(kernel(NCCL), NCCL) == Collective("all_reduce")


@pytest.mark.parametrize("ranks", ["[0, 1, ...]", "", "[]", "nonsense"])
def test_a_list_of_ranks_that_is_cut_short_is_no_list(ranks: str) -> None:
    seen = kernel(NCCL, **{"Collective name": "allreduce", "Process Group Ranks": ranks})
    assert described(seen, NCCL).ranks == ()


def test_ranks_may_be_a_json_list() -> None:
    seen = kernel(NCCL, **{"Collective name": "allreduce", "Process Group Ranks": [0, 1]})
    assert described(seen, NCCL).ranks == (0, 1)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("c10d::reduce_scatter_tensor_", "reduce_scatter"),
        ("ncclDevKernel_ReduceScatter_Sum", "reduce_scatter"),
        ("_allgather_base_", "all_gather"),
        ("gloo:all_reduce", "all_reduce"),
        ("cross_device_reduce_2stage", "all_reduce"),
        ("nccl:all_to_all", "all_to_all"),
        ("c10d::alltoall_base_", "all_to_all"),
        ("gloo:barrier", "barrier"),
        ("nccl:reduce", "reduce"),
        ("nccl:recv 0<-1", "recv"),
        ("nccl:send 0->1", "send"),
        ("c10d::scatter_", "scatter"),
        ("c10d::gather_", "gather"),
        ("aten::mm", ""),
    ],
)
def test_kinds_by_name(text: str, kind: str) -> None:
    assert names.collective_kind(text) == kind


@pytest.mark.parametrize(
    "name",
    ["ncclKernel_AllReduce_RING_LL_Sum_float", "rccl_main_kernel", "hcom_allReduce_",
     "void vllm::cross_device_reduce_1stage", "multimem_all_reduce_kernel", "deep_ep::dispatch"],
)  # fmt: skip
def test_kernels_that_communicate(name: str) -> None:
    assert names.is_communication_kernel(name)


@pytest.mark.parametrize("name", ["ampere_sgemm_128x64", "reduce_kernel<512, 1>", "scatter_add"])
def test_kernels_that_do_not(name: str) -> None:
    assert not names.is_communication_kernel(name)
    seen = kernel(name)
    assert seen.graph.nodes.collective[seen.row(name)] == NONE


@pytest.mark.parametrize(
    ("dtype", "size"),
    [("Float", 4), ("Tensor(float)", 4), ("c10::BFloat16", 2), ("Long", 8), ("long int", 8),
     ("Half", 2), ("bool", 1), ("what", 0)],
)  # fmt: skip
def test_bytes_of_dtypes_as_profilers_spell_them(dtype: str, size: int) -> None:
    assert names.dtype_bytes(dtype) == size
