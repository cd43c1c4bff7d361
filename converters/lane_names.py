"""What lanes are called wherever they are shown."""

from ..models.graph import Lane, LaneKind


def lane_title(lane: Lane) -> str:
    """Give a lane's title, the same in pictures and timelines.

    >>> lane_title(Lane(LaneKind.DEVICE, 0, 7)), lane_title(Lane(LaneKind.HOST, 1, 12, "main"))
    ('device 0 stream 7', 'host thread 12 main')
    """
    if lane.kind == LaneKind.VIRTUAL:
        return lane.name or "start"
    if lane.kind == LaneKind.DEVICE:
        return f"device {lane.group} stream {lane.number} {lane.name}".strip()
    if str(lane.number) in lane.name:  # the name tells the number itself
        return f"host {lane.name}"
    return f"host thread {lane.number} {lane.name}".strip()
