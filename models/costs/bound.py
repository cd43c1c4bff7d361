"""What a row's time is bound by."""

from enum import IntEnum


class Bound(IntEnum):
    """What a row's time is bound by."""

    COMPUTE = 0
    MEMORY = 1
    LAUNCH = 2
    COMMUNICATION = 3
    HOST = 4
    NONE = 5
