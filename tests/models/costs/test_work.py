"""Work of operators: bytes, classes and dtypes, on shapes small enough to count by hand."""

import pytest

from etsim.models.costs.tensors import dtype_of
from etsim.models.costs.work import is_known, work_of
from etsim.models.costs.work_values import Attention, Gemm, Unit, WorkClass
from etsim.models.graph import Dims, Operator


def operator(name: str, *shapes: Dims) -> Operator:
    """Give an operator whose tensors all are fp32."""
    return Operator(f"aten::{name}", input_shapes=shapes, input_types=("float",) * len(shapes))


@pytest.mark.parametrize(
    ("recorded", "dtype"),
    [
        ("float", "fp32"), ("c10::BFloat16", "bf16"), ("Tensor(c10::Half)", "fp16"),
        ("Tensor(float)", "fp32"), ("long int", "int64"), ("Scalar", ""), ("", ""),
        ("double", "fp64"), ("unsigned char", "int8"), ("torch.bfloat16", "bf16"),
    ],
)  # fmt: skip
def test_dtypes_are_understood_however_they_were_recorded(recorded: str, dtype: str) -> None:
    assert dtype_of(recorded) == dtype


def test_a_product_reads_both_operands_and_writes_the_result() -> None:
    work = work_of(operator("mm", (2, 3), (3, 4)))
    assert (work.bytes_read, work.bytes_written) == (4 * (6 + 12), 4 * 8)
    assert work.geometry == Gemm(1, 2, 4, 3)


def test_a_batched_left_side_against_one_matrix_is_one_tall_product() -> None:
    assert work_of(operator("matmul", (5, 2, 3), (3, 4))).geometry == Gemm(1, 10, 4, 3)


def test_an_elementwise_sum_reads_two_and_writes_the_broadcast() -> None:
    work = work_of(operator("add", (8, 4), (4,)))
    assert (work.bytes_read, work.bytes_written) == (4 * 36, 4 * 32)
    assert work.unit is Unit.VECTOR


def test_an_expanded_operand_is_read_as_often_as_it_is_stored() -> None:
    expanded = Operator(
        "aten::add", input_shapes=((8, 4), (8, 4)), input_types=("float", "float"),
        input_strides=((4, 1), (0, 1)),
    )  # fmt: skip
    assert work_of(expanded).bytes_read == 4 * (32 + 4)


def test_an_operator_in_place_is_the_same_operator() -> None:
    assert work_of(operator("add_", (8,), (8,))).flops == work_of(operator("add", (8,), (8,))).flops


def test_a_view_is_free() -> None:
    assert work_of(operator("view", (8,))).work_class is WorkClass.FREE


def test_a_cast_reads_one_dtype_and_writes_the_other() -> None:
    cast = Operator("aten::copy_", input_shapes=((8,), (8,)), input_types=("c10::Half", "float"))
    work = work_of(cast)
    assert (work.bytes_read, work.bytes_written) == (32, 16)


def test_an_embedding_moves_the_rows_it_looks_up_and_not_the_table() -> None:
    lookup = Operator(
        "aten::embedding", input_shapes=((1000, 16), (3,)), input_types=("float", "long int")
    )
    work = work_of(lookup)
    assert work.bytes_written == 3 * 16 * 4
    assert work.bytes_read < 1000


def test_one_query_a_sequence_is_decode_and_many_are_a_prompt() -> None:
    one = operator("_scaled_dot_product_flash_attention", (1, 8, 1, 64), *[(1, 8, 512, 64)] * 2)
    many = operator("_scaled_dot_product_flash_attention", *[(1, 8, 512, 64)] * 3)
    assert work_of(one).work_class is WorkClass.DECODE
    assert work_of(many).work_class is WorkClass.PREFILL


def test_packed_prompts_are_parted_by_their_lengths() -> None:
    packed = Operator(
        "flash_attn::_flash_attn_varlen_forward",
        input_shapes=((64, 8, 32), (64, 2, 32), (64, 2, 32), (5,)),
        input_types=("c10::Half", "c10::Half", "c10::Half", "int"),
    )
    geometry = work_of(packed).geometry
    assert isinstance(geometry, Attention)
    assert (geometry.batch, geometry.queries, geometry.kv_heads) == (4, 16, 2)


def test_a_fused_optimiser_writes_parameters_and_both_moments() -> None:
    lists: tuple[Dims, ...] = (((4, 4), (8,)),) * 4
    types = ("GenericList[Tensor(float),Tensor(float)]",) * 4
    work = work_of(Operator("aten::_fused_adamw_", input_shapes=lists, input_types=types))
    assert (work.bytes_read, work.bytes_written) == (4 * 4 * 24, 3 * 4 * 24)
    assert work.work_class is WorkClass.OPTIMISER


def test_an_unknown_operator_counts_by_the_bytes_of_its_tensors() -> None:
    unknown = operator("somebodys_fused_thing", (16, 16), (16,))
    work = work_of(unknown)
    assert not is_known(unknown)
    assert (work.bytes_read, work.bytes_written) == (4 * 272, 4 * 256)


def test_shapes_that_fit_no_formula_do_not_fail() -> None:
    assert work_of(operator("mm", (2, 3))).work_class is WorkClass.OTHER
    assert work_of(Operator("aten::mm")).work_class is WorkClass.FREE
