"""`etsim hw`: list the devices of the catalogue, show one with its sources, check spec files."""

from collections.abc import Sequence

import click

from ..models.errors import InputError, SpecError
from ..models.hardware import Hardware
from ..models.spec_text import figures_of, spec_yaml
from ..models.specs import aliases, catalogue, load
from .output import csv_option, json_option, note, print_csv, print_json, print_table, say

_LIST_HEADER = ("name", "kind", "bf16 TFLOP/s", "memory GiB", "memory GB/s", "USD/h")
_UNKNOWN = "-"
_DEFAULT_MARK = "*"


@click.group(name="hw")
def command() -> None:
    """List, show and check hardware specs.

    A device is a name of the catalogue (`etsim hw list`) or a YAML file of your own;
    every verb takes either as `--hw`.
    """


@command.command(name="list")
@json_option
@csv_option
def list_devices(as_json: bool, as_csv: bool) -> None:
    """List the devices that come with etsim."""
    devices = [load(name) for name in catalogue()]
    if as_json:
        print_json({"devices": [_summary(hardware) for hardware in devices]})
        return
    rows = [tuple(_shown(cell) for cell in _list_row(hardware)) for hardware in devices]
    if as_csv:
        print_csv(_LIST_HEADER, rows)
        return
    say(f"{len(rows)} devices in the catalogue; bf16 peaks are dense, of the matrix units.")
    say("")
    print_table(_LIST_HEADER, rows)
    note("prices are indicative; `etsim hw show NAME` gives every figure's source")


def _list_row(hardware: Hardware) -> tuple[str | float | None, ...]:
    device = hardware.device
    return (
        hardware.name,
        str(device.kind),
        device.peak_tflops.get("bf16"),
        device.memory_bytes / 2**30,
        device.memory_bandwidth_gbps,
        hardware.price_usd_per_hour,
    )


def _shown(cell: str | float | None) -> str:
    if cell is None:
        return _UNKNOWN
    return cell if isinstance(cell, str) else f"{cell:g}"


def _summary(hardware: Hardware) -> dict[str, object]:
    device = hardware.device
    return {
        "name": hardware.name,
        "aliases": sorted(alias for alias, name in aliases().items() if name == hardware.name),
        "kind": device.kind,
        "peak_tflops": device.peak_tflops,
        "memory_bytes": device.memory_bytes,
        "memory_bandwidth_gbps": device.memory_bandwidth_gbps,
        "price_usd_per_hour": hardware.price_usd_per_hour,
    }


@command.command()
@click.argument("name")
@json_option
@click.option("--yaml", "as_yaml", is_flag=True, help="Print a spec file to copy and change.")
def show(name: str, as_json: bool, as_yaml: bool) -> None:
    """Show all figures of a device or spec file, each with its source.

    NAME is a name of the catalogue or a YAML file.
    """
    hardware = load(name)
    if as_json:
        print_json(_complete(hardware))
    elif as_yaml:
        say(spec_yaml(hardware).rstrip("\n"))
    else:
        _show_figures(hardware)


def _complete(hardware: Hardware) -> dict[str, object]:
    """Give all of a hardware in a stable order, as JSON takes it."""
    return {
        "name": hardware.name,
        "device": hardware.device,
        "host": hardware.host,
        "links": hardware.links,
        "price_usd_per_hour": hardware.price_usd_per_hour,
        "figures": figures_of(hardware),
        "sources": hardware.sources,
        "defaulted": sorted(hardware.defaulted),
        "calibration": hardware.calibration,
    }


def _show_figures(hardware: Hardware) -> None:
    figures = figures_of(hardware)
    given = len(figures) - len(hardware.defaulted)
    say(f"{hardware.name}: {given} figures given, {len(hardware.defaulted)} by default (*).")
    say("")
    key_width = max(map(len, figures))
    value_width = max(len(str(value)) for value in figures.values())
    for key, value in figures.items():
        mark = _DEFAULT_MARK if key in hardware.defaulted else " "
        source = hardware.sources.get(key, "").removeprefix("default: ")
        say(f"{key:<{key_width}}  {value!s:>{value_width}} {mark} {source}".rstrip())
    if hardware.calibration:
        say("")
        say(f"calibrated: {', '.join(hardware.calibration)}")


@command.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@json_option
def validate(files: Sequence[str], as_json: bool) -> None:
    """Check spec files; tell all faults of each and return 3 if there is one."""
    faults_of = {name: _faults(name) for name in files}
    bad = [name for name, faults in faults_of.items() if faults]
    if as_json:
        print_json({"files": [{"file": f, "faults": faults} for f, faults in faults_of.items()]})
    else:
        say(f"{len(faults_of) - len(bad)} of {len(faults_of)} specs are good.")
        for name, faults in faults_of.items():
            for key, fault in faults.items():
                say(f"{name}: {key}: {fault}" if key else f"{name}: {fault}")
    if bad:
        count = sum(map(len, faults_of.values()))
        faults_told = "1 fault" if count == 1 else f"{count} faults"
        raise InputError(f"{faults_told} in {', '.join(bad)}", remedy="see docs/hardware.md")


def _faults(name: str) -> dict[str, str]:
    """Give the faults of a spec by key; the key is empty where the file is no spec at all."""
    try:
        load(name)
    except SpecError as error:
        return error.faults
    except InputError as error:
        return {"": f"{error.what} ({error.remedy})" if error.remedy else error.what}
    return {}
