"""`etsim hw` as a user calls it: what it prints, and what it returns."""

import json
from pathlib import Path

import pytest

from etsim.tests.cli.caller import Runner

GOOD = Path(__file__).resolve().parents[2] / "examples" / "a100.yaml"


@pytest.fixture
def run() -> Runner:
    return Runner("hw")


def test_list_says_how_many_then_one_line_a_device(run: Runner) -> None:
    code, out, err = run("list")
    assert code == 0
    first, _, header, _, *rows = out.splitlines()
    assert first.startswith(f"{len(rows)} devices")
    assert header.split()[0] == "name"
    assert any(row.split() == ["h100-sxm", "gpu", "989.4", "80", "3350", "12.29"] for row in rows)
    assert "indicative" in err


def test_list_as_csv_and_json_has_the_same_devices(run: Runner) -> None:
    _, as_csv, _ = run("list", "--csv")
    _, as_json, _ = run("list", "--json")
    devices = json.loads(as_json)["devices"]
    assert [row.split(",")[0] for row in as_csv.splitlines()[1:]] == [d["name"] for d in devices]
    (a100,) = [device for device in devices if device["name"] == "a100-sxm-80gb"]
    assert a100["peak_tflops"]["bf16"] == 312.0
    assert "a100" in a100["aliases"]


def test_show_gives_every_figure_with_its_source_and_marks_defaults(run: Runner) -> None:
    code, out, _ = run("show", "h100")
    assert code == 0
    line_of = {line.split()[0]: line for line in out.splitlines() if line}
    assert "3350 GB/s   NVIDIA H100 datasheet" in line_of["memory.bandwidth"]
    assert " * " in line_of["efficiency.matmul.compute"]
    assert "(*)" in line_of["h100-sxm:"]


def test_show_as_json_has_figures_sources_and_defaults(run: Runner) -> None:
    _, out, _ = run("show", "l4", "--json")
    shown = json.loads(out)
    assert shown["figures"]["memory.size"] == "24 GiB"
    assert shown["device"]["memory_bytes"] == 24 * 2**30
    assert "efficiency.matmul.compute" in shown["defaulted"]
    assert set(shown["figures"]) <= set(shown["sources"])


def test_show_as_yaml_is_a_spec_to_copy(run: Runner, tmp_path: Path) -> None:
    _, out, _ = run("show", "mi300x", "--yaml")
    copy = tmp_path / "mine.yaml"
    copy.write_text(out, encoding="utf-8")
    assert run("validate", str(copy))[0] == 0


def test_show_takes_a_file_of_ones_own(run: Runner) -> None:
    code, out, _ = run("show", str(GOOD))
    assert code == 0
    assert out.startswith("my-a100:")


def test_an_unknown_device_is_one_line_and_exit_code_3(run: Runner) -> None:
    code, out, err = run("show", "h1000")
    assert (code, out) == (3, "")
    assert err.startswith("error: no device named 'h1000'")
    assert len(err.splitlines()) == 1


def test_validate_tells_all_faults_of_all_files_and_returns_3(run: Runner, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: x\npeek: {}\nmemory: {bandwidth: 2.0 TB}\n", encoding="utf-8")
    code, out, err = run("validate", str(bad), str(GOOD), str(tmp_path / "none.yaml"))
    assert code == 3
    assert out.startswith("1 of 3 specs are good.")
    assert f"{bad}: peek: unknown key; did you mean 'peak'?" in out
    assert f"{bad}: memory.bandwidth: '2.0 TB' is a size, expected bytes/s" in out
    assert "none.yaml: no such hardware spec" in out
    assert err.startswith("error: 11 faults in")


def test_validate_of_good_files_returns_0(run: Runner) -> None:
    code, out, err = run("validate", str(GOOD))
    assert (code, out, err) == (0, "1 of 1 specs are good.\n", "")


def test_validate_as_json_gives_the_faults_by_key(run: Runner, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: x\nkind: gpu\nvendor: v\nlike: l4\n", encoding="utf-8")
    code, out, _ = run("validate", "--json", str(bad))
    assert code == 3
    assert json.loads(out)["files"] == [{"file": str(bad), "faults": {"source": "missing"}}]
