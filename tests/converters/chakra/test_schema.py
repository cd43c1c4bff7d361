"""The tables in schema.py, the .proto beside them and Chakra's numbers are one and the same."""

import re
from pathlib import Path

from etsim.converters.chakra import schema

PROTO = Path(schema.__file__).with_name("et_def.proto")


def blocks(kind: str) -> dict[str, str]:
    """Give the bodies of the .proto's messages or enums by name."""
    text = re.sub(r"//.*", "", PROTO.read_text())
    text = re.sub(r"oneof value \{([^}]*)\}", r"\1", text)
    return dict(re.findall(kind + r" (\w+) \{([^}]*)\}", text))


def test_the_messages_are_those_of_the_proto_file() -> None:
    field = re.compile(r"(repeated )?(\w+) (\w+) = (\d+);")
    told = {
        name: {
            key: (int(number), base + ("*" if repeated else ""))
            for repeated, base, key, number in field.findall(body)
        }
        for name, body in blocks("message").items()
    }
    assert told == {name: dict(table) for name, table in schema.MESSAGES.items()}


def test_the_enums_are_those_of_the_proto_file() -> None:
    value = re.compile(r"(\w+) = (\d+);")
    told = {
        name: {key: int(number) for key, number in value.findall(body)}
        for name, body in blocks("enum").items()
    }
    assert told == {name: dict(table) for name, table in schema.ENUMS.items()}


def test_values_of_an_attribute_exclude_each_other() -> None:
    message = next(m for m in schema.file_descriptor().message_type if m.name == "AttributeProto")
    in_oneof = {field.name for field in message.field if field.HasField("oneof_index")}
    assert in_oneof == {field.name for field in message.field} - {"name", "doc_string"}
