"""Where the time of a timeline goes: interval sets, parts that add up, idle time by cause."""
