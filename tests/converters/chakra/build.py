"""Chakra files as others write them, built with protobuf: no etsim attributes."""

import gzip
from pathlib import Path
from typing import Any

from etsim.converters.chakra.schema import GlobalMetadata, Node

COMP, SEND, RECV, COLL = 4, 5, 6, 7


def framed(message: Any) -> bytes:
    """Give a message behind its length."""
    content: bytes = message.SerializeToString()
    length, head = len(content), bytearray()
    while length >= 0x80:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes(head) + bytes([length]) + content


def node(number: int, name: str = "op", **fields: Any) -> bytes:
    """Give a framed node; fields that are no Node fields become attributes (name=(kind, value))."""
    message: Any = Node()
    message.id = number
    message.name = name
    message.type = fields.pop("type", COMP)
    for key in ("ctrl_deps", "data_deps"):
        getattr(message, key).extend(fields.pop(key, ()))
    for key in ("start_time_micros", "duration_micros"):
        setattr(message, key, fields.pop(key, 0))
    for key in ("inputs", "outputs"):
        for part, text in fields.pop(key, {}).items():
            setattr(getattr(message, key), part, text)
    for key, (kind, value) in fields.items():
        message.attr.add(name=key, **{kind: value})
    return framed(message)


def host(number: int, name: str = "op", **fields: Any) -> bytes:
    """Give a node on host thread 1."""
    return node(number, name, is_cpu_op=("bool_val", True), tid=("int64_val", 1), **fields)


def kernel(number: int, name: str = "gemm", stream: int = 7, **fields: Any) -> bytes:
    """Give a node on a stream."""
    return node(number, name, is_cpu_op=("bool_val", False), stream=("int64_val", stream), **fields)


def write_file(path: Path, *nodes: bytes, version: str = "0.0.4", packed: bool = False) -> Path:
    """Write a file of framed nodes."""
    metadata: Any = GlobalMetadata()
    metadata.version = version
    data = framed(metadata) + b"".join(nodes)
    path.write_bytes(gzip.compress(data) if packed else data)
    return path
