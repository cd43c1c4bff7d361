"""Write a `Hardware` as a spec file would state it: the mirror of `specs.load`.

`load` after `spec_yaml` gives the same value again, defaults still marked as defaults.
"""

from collections.abc import Iterator, Mapping

import yaml

from .hardware import Device, Hardware, Link
from .spec_keys import KEYS

Written = str | float | int


def figures_of(hardware: Hardware) -> dict[str, Written]:
    """Give every figure, defaults included, as a file writes it, by dotted key in file order."""
    host = hardware.host
    written: dict[str, Written] = {
        **dict(_device(hardware.device)),
        "host.relative_speed": host.relative_speed,
        "host.launch_cost": _microseconds(host.launch_cost_ns),
        "host.cores": host.cores,
    }
    for link in hardware.links:
        written |= {f"links.{link.tier}.{key}": value for key, value in _link(link)}
    if hardware.price_usd_per_hour is not None:
        written["price"] = f"{hardware.price_usd_per_hour:.12g} USD/h"
    return {key: written[key] for key in KEYS if key in written}


def spec_yaml(hardware: Hardware) -> str:
    """Give a spec file's text: what its file stated, without defaults, with every source."""
    stated = {
        key: value for key, value in figures_of(hardware).items() if key not in hardware.defaulted
    }
    sources = {key: hardware.sources[key] for key in stated if key in hardware.sources}
    tree: dict[str, object] = {"name": hardware.name, "source": _most_common(sources)}
    tree |= _nested(stated)
    if hardware.calibration:
        tree["calibration"] = dict(hardware.calibration)
    tree["sources"] = {key: text for key, text in sources.items() if text != tree["source"]}
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=100)


def _device(device: Device) -> Iterator[tuple[str, Written]]:
    yield "kind", str(device.kind)
    yield "vendor", device.vendor
    yield "architecture", device.architecture
    for table, rates in (("peak", device.peak_tflops), ("vector", device.vector_tflops)):
        for dtype, tflops in rates.items():
            unit = "TOP/s" if dtype.startswith("int") else "TFLOP/s"
            yield f"{table}.{dtype}", f"{tflops:.12g} {unit}"
    yield "memory.size", _size(device.memory_bytes)
    yield "memory.bandwidth", f"{device.memory_bandwidth_gbps:.12g} GB/s"
    yield "memory.type", device.memory_type
    yield "l2", _size(device.l2_bytes)
    yield "cores", device.cores
    yield "fp32_lanes", _number(device.fp32_lanes_per_core)
    yield "clock", f"{device.clock_mhz:.12g} MHz"
    yield "power", f"{device.tdp_w:.12g} W"
    yield "process", f"{device.process_nm:.12g} nm"
    yield "launch_latency", _microseconds(device.launch_latency_ns)
    yield "kernel_gap", _microseconds(device.kernel_gap_ns)
    for name, share in device.efficiency.items():
        yield f"efficiency.{name}", share


def _link(link: Link) -> Iterator[tuple[str, Written]]:
    yield "name", link.name
    yield "bandwidth", f"{link.bandwidth_gbps:.12g} GB/s"
    yield "latency", _microseconds(link.latency_ns)
    yield "devices", link.max_devices
    for name, share in link.efficiency.items():
        yield f"efficiency.{name}", share


def _size(size_bytes: int) -> str:
    """Write a size in the largest binary unit that shows it in three digits or more."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size_bytes >= factor and size_bytes % (factor // 8) == 0:
            return f"{size_bytes / factor:.12g} {unit}"
    return f"{size_bytes} B"


def _microseconds(duration_ns: int) -> str:
    return f"{duration_ns / 1e3:.12g} us"


def _number(value: float) -> float | int:
    return int(value) if value.is_integer() else float(f"{value:.12g}")


def _most_common(sources: Mapping[str, str]) -> str:
    texts = list(sources.values())
    return max(texts, key=texts.count) if texts else "unknown"


def _nested(flat: Mapping[str, Written]) -> dict[str, object]:
    """Turn dotted keys into nested mappings: `memory.size` -> memory: {size}."""
    tree: dict[str, object] = {}
    for key, value in flat.items():
        *tables, last = key.split(".")
        place = tree
        for table in tables:
            inner = place.setdefault(table, {})
            assert isinstance(inner, dict)  # no key of the grammar is both a leaf and a table
            place = inner
        place[last] = value
    return tree
