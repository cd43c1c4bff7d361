"""Request logs: the three spellings, gzip, and what a damaged one is told."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from etsim.converters.request_logs import read
from etsim.models.errors import InputError

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
"""
VIDUR = """arrived_at,num_prefill_tokens,num_decode_tokens
0.0,374,44
4.314579,396,109
"""
MOONCAKE = """{"timestamp": 0, "input_length": 374, "output_length": 44, "hash_ids": [46]}
{"timestamp": 4314, "input_length": 396, "output_length": 109, "hash_ids": [46, 47]}
"""


@pytest.mark.parametrize(("text", "gap"), [(AZURE, 4314579000), (VIDUR, 4314579000)])
def test_both_azure_spellings_say_the_same(tmp_path: Path, text: str, gap: int) -> None:
    (tmp_path / "log").write_text(text)
    log = read(tmp_path / "log")
    assert log.prompt_tokens.tolist() == [374, 396]
    assert log.output_tokens.tolist() == [44, 109]
    np.testing.assert_allclose(log.arrival_ns, [0, gap], atol=100)


def test_mooncake_brings_prefix_blocks_and_milliseconds(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl.gz").write_bytes(gzip.compress(MOONCAKE.encode()))
    log = read(tmp_path / "log.jsonl.gz")
    assert log.arrival_ns.tolist() == [0, 4314000000]
    assert log.prefix_blocks == ((46,), (46, 47))
    assert log.prefix_block_tokens == 512


def test_rows_are_sorted_and_empty_answers_dropped_and_counted(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(
        "arrived_at,num_prefill_tokens,num_decode_tokens\n2,5,1\n1,7,2\n3,9,0\n"
    )
    log = read(tmp_path / "log")
    assert log.prompt_tokens.tolist() == [7, 5]
    assert log.dropped == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a,b,c\n1,2,3\n", "unknown columns: a, b, c"),
        (VIDUR.encode() + b"x,1,2\n", "line 4"),
        (b'{"timestamp": 1}\n', "line 1"),
        (gzip.compress(VIDUR.encode() * 50, mtime=0)[:60], "gzip stream is cut"),
        (b"\xff\xfe\x00bin", "is not text"),
        (b"", "the file is empty"),
        (b"arrived_at,num_prefill_tokens,num_decode_tokens\n", "no request"),
    ],
)
def test_a_bad_log_is_told_in_a_line(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "log").write_bytes(content)
    with pytest.raises(InputError, match=told):
        read(tmp_path / "log")


def test_a_missing_log_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "none")


@pytest.mark.shared
def test_the_azure_logs_are_read_whole(shared_data: Path) -> None:
    log = read(shared_data / "requests" / "azure_conv.csv.gz")
    assert len(log) == 19366
    assert log.rate == pytest.approx(5.53, abs=0.01)
