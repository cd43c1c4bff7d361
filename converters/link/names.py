"""What kernels and host events of communication are, by their names; bytes of dtypes."""

import re

_COMMUNICATION = re.compile(
    r"nccl|rccl|hccl|hcom|msccl|oneccl|deep_?ep|nvshmem|multimem_(?:all|reduce)"
    r"|cross_device_reduce|all_?reduce|all_?gather|reduce_?scatter|all_?to_?all|sendrecv",
    re.IGNORECASE,
)
_KINDS = (
    ("reduce_scatter", re.compile(r"reduce_?scatter", re.IGNORECASE)),
    ("all_gather", re.compile(r"all_?gather", re.IGNORECASE)),
    ("all_to_all", re.compile(r"all_?to_?all", re.IGNORECASE)),
    ("all_reduce", re.compile(r"all_?reduce|cross_device_reduce", re.IGNORECASE)),
    ("broadcast", re.compile(r"broadcast", re.IGNORECASE)),
    ("barrier", re.compile(r"barrier", re.IGNORECASE)),
    ("scatter", re.compile(r"scatter", re.IGNORECASE)),
    ("gather", re.compile(r"gather", re.IGNORECASE)),
    ("reduce", re.compile(r"reduce", re.IGNORECASE)),
    ("recv", re.compile(r"recv(?!.*send)", re.IGNORECASE)),
    ("send", re.compile(r"send", re.IGNORECASE)),
)
# Annotations under which a backend's own thread runs a collective on the host.
HOST_COLLECTIVE = re.compile(r"(gloo|mpi|ucc):")
_ISSUES_COLLECTIVE = re.compile(r"c10d::|record_param_comms|nccl:|rccl:|hccl:")

BYTES_OF_DTYPE = {
    "double": 8, "float64": 8, "long int": 8, "int64": 8, "long": 8, "float": 4, "float32": 4,
    "int": 4, "int32": 4, "c10::half": 2, "half": 2, "float16": 2, "c10::bfloat16": 2,
    "bfloat16": 2, "short": 2, "int16": 2, "signed char": 1, "unsigned char": 1, "char": 1,
    "byte": 1, "int8": 1, "uint8": 1, "bool": 1, "c10::float8_e4m3fn": 1, "float8": 1,
    "c10::complex<float>": 8,
}  # fmt: skip


def is_communication_kernel(name: str) -> bool:
    """Tell whether a device kernel moves data between ranks."""
    return _COMMUNICATION.search(name) is not None


def issues_collective(name: str) -> bool:
    """Tell whether a host event is one that hands a collective to its backend."""
    return _ISSUES_COLLECTIVE.match(name) is not None


def collective_kind(text: str) -> str:
    """Give a collective's kind as `all_reduce`, `send`, ...; "" where no kind is named."""
    for kind, pattern in _KINDS:
        if pattern.search(text):
            return kind
    return ""


def dtype_bytes(dtype: str) -> int:
    """Give the bytes of one element, 0 where the dtype is unknown."""
    plain = dtype.strip().lower().removeprefix("tensor(").removesuffix(")")
    return BYTES_OF_DTYPE.get(plain, 0)
