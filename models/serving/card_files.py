"""Reads model cards: our YAML by name or path, or a Hugging Face config.json as it is."""

import difflib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec

from ..errors import InputError, SpecError
from .model_card import Experts, Latent, ModelCard

CARDS = Path(__file__).resolve().parent.parent / "llms"
_DTYPE_BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "fp8": 1.0, "int8": 1.0}
# What a name says of training or number format, not of the shapes.
_VARIANT = re.compile(r"-(instruct|chat|base|hf|it|fp8|fp4|nvfp4|int4|awq|gptq|bf16|dynamic)$")
_DENSE_TYPES = {  # ungated FFN of two matrices, by Hugging Face's model_type
    "opt", "gpt2", "gpt_neox", "bloom", "falcon", "gptj", "starcoder2", "phi",
}  # fmt: skip
# whose head is the embedding where config.json does not say: as their classes have it
_TIED_TYPES = {
    "opt", "gpt2", "bloom", "falcon", "gemma", "gemma2", "gemma3", "gemma3_text", "cohere",
    "cohere2", "mpt", "gpt_bigcode", "starcoder2",
}  # fmt: skip


class _LatentFile(msgspec.Struct, forbid_unknown_fields=True):
    kv_rank: int
    query_rank: int
    nope_dim: int
    rope_dim: int
    value_dim: int


class _ExpertsFile(msgspec.Struct, forbid_unknown_fields=True):
    count: int
    per_token: int
    ffn: int
    shared: int = 0
    dense_layers: int = 0


class _CardFile(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    layers: int
    hidden: int
    query_heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    aliases: list[str] = []
    gated: bool = True
    tied: bool = False
    weight_bytes: float = 2.0
    window: int = 0
    latent: _LatentFile | None = None
    experts: _ExpertsFile | None = None
    source: str = ""
    sources: dict[str, str] = {}


class _HfConfig(msgspec.Struct):
    """The keys of a Hugging Face config.json that matter here; the rest is passed over."""

    model_type: str = ""
    num_hidden_layers: int | None = None
    n_layer: int | None = None
    num_layers: int | None = None
    hidden_size: int | None = None
    n_embd: int | None = None
    num_attention_heads: int | None = None
    n_head: int | None = None
    num_key_value_heads: int | None = None
    num_kv_heads: int | None = None
    multi_query_group_num: int | None = None
    multi_query: bool = False
    head_dim: int | None = None
    intermediate_size: int | None = None
    ffn_dim: int | None = None
    ffn_hidden_size: int | None = None
    n_inner: int | None = None
    vocab_size: int | None = None
    padded_vocab_size: int | None = None
    tie_word_embeddings: bool | None = None
    torch_dtype: str | None = None
    dtype: str | None = None
    sliding_window: int | None = None
    quantization_config: dict[str, object] | None = None
    num_local_experts: int | None = None
    num_experts: int | None = None
    n_routed_experts: int | None = None
    num_experts_per_tok: int | None = None
    moe_intermediate_size: int | None = None
    n_shared_experts: int | None = None
    shared_expert_intermediate_size: int | None = None
    first_k_dense_replace: int | None = None
    kv_lora_rank: int | None = None
    q_lora_rank: int | None = None
    qk_nope_head_dim: int | None = None
    qk_rope_head_dim: int | None = None
    v_head_dim: int | None = None
    text_config: dict[str, object] | None = None


def known_cards() -> list[str]:
    """Give the names of the cards that come with etsim."""
    return sorted(path.stem for path in CARDS.glob("*.yaml"))


@cache
def _card_of_alias() -> dict[str, str]:
    """Give the card of every name a model goes by, in `_plain` form."""
    names: dict[str, str] = {}
    for path in sorted(CARDS.glob("*.yaml")):
        told = msgspec.yaml.decode(path.read_bytes(), type=_CardFile)
        names |= {_plain(name): path.stem for name in (told.name, *told.aliases)}
    return names


def _plain(name: str) -> str:
    """Bring `meta-llama/Llama-3.1-8B-Instruct-FP8` to `llama-3.1-8b`."""
    plain = name.rsplit("/", 1)[-1].lower().replace("_", "-")
    while (shorter := _VARIANT.sub("", plain)) != plain:
        plain = shorter
    return plain


def load_card(name: str | Path) -> ModelCard:
    """Load a model by a name it goes by (Hugging Face's too) or a path.

    A path is that of a card's YAML, of a config.json, or of a folder that has one.

    Raises:
        InputError: there is no such card or file; the nearest known name is told.
        SpecError: the file lacks figures or has impossible ones; all are told at once.
    """
    path = Path(name)
    if path.is_dir():
        path = path / "config.json"
    if not path.exists() and (known := _card_of_alias().get(_plain(str(name)))):
        path = CARDS / f"{known}.yaml"
    if not path.exists():
        near = difflib.get_close_matches(str(name).lower(), known_cards(), n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(
            f"no model card or config.json named {str(name)!r}",
            remedy=f"{hint}known: {', '.join(known_cards())}; or give a Hugging Face config.json",
        )
    content = path.read_bytes()
    return read_hf_config(content, path) if path.suffix == ".json" else read_card(content, path)


def read_card(content: bytes, path: Path) -> ModelCard:
    """Read our own YAML."""
    try:
        told = msgspec.yaml.decode(content, type=_CardFile)
    except msgspec.DecodeError as error:
        raise SpecError(path, {"card": str(error)}) from error
    values = {
        field: getattr(told, field)
        for field in told.__struct_fields__
        if field not in {"latent", "experts", "source", "sources", "aliases"}
    }
    card = ModelCard(
        **values,
        latent=Latent(**msgspec.structs.asdict(told.latent)) if told.latent else None,
        experts=Experts(**msgspec.structs.asdict(told.experts)) if told.experts else None,
        sources={"all": told.source, **told.sources},
    )
    return _checked(card, path)


def read_hf_config(content: bytes, path: Path) -> ModelCard:
    """Read a Hugging Face config.json; a multimodal one by its text_config."""
    try:
        config = msgspec.json.decode(content, type=_HfConfig)
        if config.text_config and config.num_hidden_layers is None:
            config = msgspec.convert(config.text_config, type=_HfConfig)
    except msgspec.MsgspecError as error:
        raise SpecError(path, {"config.json": str(error)}) from error
    needed = {
        "num_hidden_layers": config.num_hidden_layers or config.n_layer or config.num_layers,
        "hidden_size": config.hidden_size or config.n_embd,
        "num_attention_heads": config.num_attention_heads or config.n_head,
        "vocab_size": config.vocab_size or config.padded_vocab_size,
    }
    missing = {
        key: "missing; is this a language model's config?" for key, v in needed.items() if not v
    }
    if missing:
        raise SpecError(path, missing)
    layers, hidden, heads, vocab = (int(v or 0) for v in needed.values())
    ffn = _ffn(config) or 4 * hidden
    tied = config.tie_word_embeddings
    card = ModelCard(
        name=path.parent.name if path.name == "config.json" else path.stem,
        layers=layers,
        hidden=hidden,
        query_heads=heads,
        kv_heads=_kv_heads(config) or heads,
        head_dim=config.head_dim or hidden // heads,
        ffn=ffn,
        vocab=vocab,
        gated=config.model_type not in _DENSE_TYPES,
        tied=config.model_type in _TIED_TYPES if tied is None else tied,
        latent=_latent(config),
        experts=_experts(config, ffn),
        weight_bytes=_weight_bytes(config),
        window=config.sliding_window or 0,
        sources={"all": str(path.name)},
    )
    return _checked(card, path)


def _ffn(config: _HfConfig) -> int | None:
    return config.intermediate_size or config.ffn_dim or config.ffn_hidden_size or config.n_inner


def _kv_heads(config: _HfConfig) -> int | None:
    """Give the key heads under the names that models call them by, None where there are as many."""
    stated = config.num_key_value_heads or config.num_kv_heads or config.multi_query_group_num
    return stated or (1 if config.multi_query else None)


def _weight_bytes(config: _HfConfig) -> float:
    quantised: Mapping[str, object] = config.quantization_config or {}
    bits = quantised.get("bits") or quantised.get("weight_bits")
    if isinstance(bits, int | float):
        return bits / 8
    if quantised.get("quant_method") in {"fp8", "fbgemm_fp8"}:
        return 1.0
    return _DTYPE_BYTES.get(config.torch_dtype or config.dtype or "bfloat16", 2.0)


def _latent(config: _HfConfig) -> Latent | None:
    if not config.kv_lora_rank:
        return None
    return Latent(
        kv_rank=config.kv_lora_rank,
        query_rank=config.q_lora_rank or 0,
        nope_dim=config.qk_nope_head_dim or 128,
        rope_dim=config.qk_rope_head_dim or 64,
        value_dim=config.v_head_dim or 128,
    )


def _experts(config: _HfConfig, ffn: int) -> Experts | None:
    count = config.num_local_experts or config.n_routed_experts or config.num_experts
    if not count:
        return None
    each = config.moe_intermediate_size or ffn
    # one wide shared expert counts as so many of the others (Qwen2-MoE); Llama 4 has one as wide
    shared = round((config.shared_expert_intermediate_size or 0) / each)
    shared = shared or int(config.model_type.startswith("llama4"))
    return Experts(
        count=count,
        per_token=config.num_experts_per_tok or 2,
        ffn=each,
        shared=config.n_shared_experts or shared,
        dense_layers=config.first_k_dense_replace or 0,
    )


def _checked(card: ModelCard, path: Path) -> ModelCard:
    faults = {
        key: f"must be > 0, is {getattr(card, key)}"
        for key in ("layers", "hidden", "query_heads", "kv_heads", "head_dim", "vocab", "ffn")
        if getattr(card, key) <= 0
    }
    if not faults and card.query_heads % card.kv_heads:
        faults["kv_heads"] = f"{card.query_heads} query heads do not part into {card.kv_heads}"
    if card.experts and card.experts.per_token > card.experts.count:
        faults["experts.per_token"] = "more than there are experts"
    if faults:
        raise SpecError(path, faults)
    return card
