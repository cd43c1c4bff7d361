"""Model cards: counts of parameters and KV, our YAML and Hugging Face's config.json."""

import json
from pathlib import Path

import pytest

from etsim.models.errors import InputError, SpecError
from etsim.models.serving.card_files import known_cards, load_card

DEEPSEEK_BILLIONS = 671.0  # as its report states
MIXTRAL_ACTIVE_BILLIONS = 12.9


@pytest.mark.parametrize("name", known_cards())
def test_every_card_loads_and_tells_its_source(name: str) -> None:
    card = load_card(name)
    assert card.name == name
    assert card.sources["all"]
    assert card.active_params <= card.linear_params <= card.total_params


def test_published_sizes_of_experts_and_latent_attention() -> None:
    deepseek, mixtral = load_card("deepseek-v3"), load_card("mixtral-8x7b")
    assert deepseek.total_params / 1e9 == pytest.approx(DEEPSEEK_BILLIONS, rel=0.002)
    assert deepseek.active_params / 1e9 == pytest.approx(37, rel=0.02)
    assert deepseek.kv_elements == 61 * 576
    assert mixtral.active_params / 1e9 == pytest.approx(MIXTRAL_ACTIVE_BILLIONS, rel=0.02)
    assert mixtral.total_params / 1e9 == pytest.approx(46.7, rel=0.002)


def test_a_step_of_one_token_touches_its_experts_and_a_large_one_all() -> None:
    card = load_card("mixtral-8x7b")
    assert card.touched_params(1) == pytest.approx(card.active_params)
    assert card.touched_params(1000) == pytest.approx(card.linear_params)
    dense = load_card("llama2-7b")
    assert dense.touched_params(1) == dense.linear_params


def test_latent_kv_is_copied_on_every_device_and_grouped_kv_parted_so_far() -> None:
    assert load_card("deepseek-v3").kv_shards(8) == 1
    assert load_card("llama3-70b").kv_shards(4) == 4
    assert load_card("llama3-70b").kv_shards(16) == 8


LLAMA = {
    "model_type": "llama", "num_hidden_layers": 80, "hidden_size": 8192, "vocab_size": 32000,
    "num_attention_heads": 64, "num_key_value_heads": 8, "intermediate_size": 28672,
    "torch_dtype": "float16", "tie_word_embeddings": False, "rope_theta": 1e4,
}  # fmt: skip


def write(folder: Path, **changes: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({**LLAMA, **changes}))
    return path


def test_a_config_json_gives_the_same_card(tmp_path: Path) -> None:
    ours, theirs = load_card("llama2-70b"), load_card(write(tmp_path))
    assert theirs.total_params == ours.total_params
    assert theirs.kv_elements == ours.kv_elements
    assert load_card(tmp_path).layers == 80  # the folder will do


def test_configs_of_other_families_are_understood(tmp_path: Path) -> None:
    moe = load_card(write(tmp_path, num_local_experts=8, num_experts_per_tok=2))
    assert moe.experts is not None
    assert moe.experts.ffn == 28672
    latent = load_card(
        write(tmp_path, kv_lora_rank=512, q_lora_rank=1536, qk_rope_head_dim=64,
              n_routed_experts=256, moe_intermediate_size=2048, n_shared_experts=1,
              first_k_dense_replace=3, num_experts_per_tok=8)
    )  # fmt: skip
    assert latent.latent is not None
    assert latent.kv_elements == 80 * 576
    opt = load_card(write(tmp_path, model_type="opt", ffn_dim=1, tie_word_embeddings=True))
    assert not opt.gated
    assert opt.tied
    fp8 = load_card(write(tmp_path, quantization_config={"quant_method": "fp8"}))
    assert fp8.weight_bytes == 1
    seen = {"text_config": LLAMA, "num_hidden_layers": None}
    assert load_card(write(tmp_path, **seen)).layers == 80


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"num_hidden_layers": None}, "num_hidden_layers: missing"),
        ({"num_key_value_heads": 7}, "do not part"),
        ({"hidden_size": "x"}, "config.json"),
        ({"num_local_experts": 2, "num_experts_per_tok": 4}, "more than there are"),
    ],
)
def test_a_faulty_config_is_told(tmp_path: Path, changes: dict[str, object], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        load_card(write(tmp_path, **changes))


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean llama2-70b"):
        load_card("llama2-70x")


@pytest.mark.parametrize(
    ("told", "card"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "llama3-8b"),
        ("nvidia/Llama-3.1-70B-Instruct-FP8", "llama3-70b"),
        ("Qwen/Qwen3-32B", "qwen3-32b"),
        ("deepseek-ai/DeepSeek-R1", "deepseek-v3"),
        ("LLAMA2-70B", "llama2-70b"),
    ],
)
def test_a_model_is_found_by_the_names_it_goes_by(told: str, card: str) -> None:
    assert load_card(told).name == card


@pytest.mark.parametrize(
    ("name", "billions"),
    [("llama3-405b", 405.9), ("kimi-k2", 1027), ("gpt-oss-120b", 116.8), ("gpt-oss-20b", 20.9),
     ("qwen3-30b-a3b", 30.5), ("bloom-176b", 176.2), ("qwen3-8b", 8.19), ("opt-66b", 65.7)],
)  # fmt: skip
def test_cards_come_to_the_published_sizes(name: str, billions: float) -> None:
    assert load_card(name).total_params / 1e9 == pytest.approx(billions, rel=0.01)


def test_an_unknown_key_in_a_card_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: x\nlayrs: 3\n")
    with pytest.raises(SpecError, match="layrs"):
        load_card(path)


def config(tmp_path: Path, model_type: str, **figures: object) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model_type": model_type, **figures}))
    return path


def test_a_shared_expert_given_by_its_width_counts(tmp_path: Path) -> None:
    """Qwen1.5-MoE-A2.7B: 14.3 billion, of them 0.83 in the shared experts."""
    path = config(
        tmp_path, "qwen2_moe", hidden_size=2048, num_hidden_layers=24, num_attention_heads=16,
        num_key_value_heads=16, intermediate_size=5632, moe_intermediate_size=1408,
        shared_expert_intermediate_size=5632, num_experts=60, num_experts_per_tok=4,
        vocab_size=151936, tie_word_embeddings=False,
    )  # fmt: skip
    assert load_card(path).total_params / 1e9 == pytest.approx(14.3, rel=0.005)


@pytest.mark.parametrize(
    ("model_type", "figures", "billions"),
    [
        ("gpt2", {"n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257}, 0.124),
        ("gemma", {"hidden_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16,
                   "num_key_value_heads": 16, "head_dim": 256, "intermediate_size": 24576,
                   "vocab_size": 256000}, 8.54),
        ("bloom", {"hidden_size": 14336, "n_layer": 70, "num_attention_heads": 112,
                   "vocab_size": 250880}, 176.2),
        ("chatglm", {"hidden_size": 4096, "num_layers": 28, "num_attention_heads": 32,
                     "multi_query_group_num": 2, "ffn_hidden_size": 13696,
                     "padded_vocab_size": 65024}, 6.24),
    ],
)  # fmt: skip
def test_models_whose_config_does_not_say_that_they_tie_come_to_their_published_size(
    tmp_path: Path, model_type: str, figures: dict[str, object], billions: float
) -> None:
    assert load_card(config(tmp_path, model_type, **figures)).total_params / 1e9 == pytest.approx(
        billions, rel=0.01
    )
