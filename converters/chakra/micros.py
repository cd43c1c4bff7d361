"""Nanoseconds as Chakra's whole microseconds: rounded half up, the error carried along a lane.

durations of one lane    700 ns  700 ns  700 ns      true sum 2.1 us
rounded one by one         1       1       1         3 us
carried                    1       0       1         2 us
"""

import numpy as np

from ...models.graph import Int32s, Int64s

NS_PER_US = 1000


def rounded(time_ns: Int64s) -> Int64s:
    """Give whole microseconds, halves up; times before 0 become 0, for Chakra's are unsigned."""
    # not (t + 500) // 1000, which overflows for the largest times
    whole, rest = np.divmod(time_ns, NS_PER_US)
    return np.asarray(np.maximum(whole + (rest >= NS_PER_US // 2), 0), dtype=np.int64)


def carried(duration_ns: Int64s, lane: Int32s) -> Int64s:
    """Give durations whose sum up to any row of a lane is within half a microsecond."""
    order = np.argsort(lane, kind="stable")
    ends = np.cumsum(np.maximum(duration_ns, 0)[order])
    lanes = lane[order]
    opens = np.ones(len(lanes), dtype=bool)
    opens[1:] = lanes[1:] != lanes[:-1]
    begin_of_lane = (ends - np.maximum(duration_ns, 0)[order])[opens]
    ends -= begin_of_lane[np.cumsum(opens) - 1]
    whole = rounded(ends)
    whole[1:] -= np.where(opens[1:], 0, whole[:-1])
    out = np.empty_like(whole)
    out[order] = np.maximum(whole, 0)
    return out
