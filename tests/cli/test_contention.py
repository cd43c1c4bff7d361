"""`--contention` of `etsim predict` and `etsim whatif` as a user calls it."""

import filecmp
import json
import subprocess
import sys
from pathlib import Path

import pytest

from etsim.tests.cli.caller import ROOT, call
from etsim.tests.recorded_pair import with_checkout

DRAWN = ROOT / "examples" / "shared_nic"
ONE_NIC = ("--contention", "--placement", "ranks-per-node=2,devices-per-nic=2")


def test_the_shipped_example_is_what_its_script_draws(tmp_path: Path) -> None:
    script = ROOT / "examples" / "draw_shared_nic.py"
    subprocess.run([sys.executable, script, tmp_path], check=True, env=with_checkout())
    names = sorted(path.name for path in DRAWN.iterdir())
    assert filecmp.cmpfiles(DRAWN, tmp_path, names, shallow=False) == (names, [], [])


def test_groups_on_one_nic_take_longer_than_on_one_each() -> None:
    """Two groups send 25 MiB each over 40 GB/s: 1.31072 ms, twice, one after the other.

    10 us until the first launch has returned, 800 of backward 1, 2 x 1310.72, 200 of optimizer
    """
    found = json.loads(call("predict", "--et", DRAWN, "--hw", "source", *ONE_NIC, "--json").out)
    shared = found["contention"]
    assert shared["without_ns"] == found["predicted_ns"] == 2_510_000
    assert shared["shared_ns"] == pytest.approx(3_631_440, abs=2)
    assert shared["slowed_flows"] == shared["flows"] == 4
    assert {link["name"] for link in shared["links"]} == {
        f"InfiniBand NDR, ranks {ranks}, {way}" for ranks in ("0-1", "2-3") for way in ("in", "out")
    }


def test_a_nic_each_slows_nobody() -> None:
    said = call("predict", "--et", DRAWN, "--hw", "source", "--contention", "--placement",
                "ranks-per-node=2")  # fmt: skip
    assert (
        "With shared links: 2.510 ms, as without: no two of the 4 transfers want more" in said.out
    )
    assert "Transfers slowed most" not in said.out


def test_the_answer_has_links_transfers_and_what_it_rests_on() -> None:
    said = call("predict", "--et", DRAWN, "--hw", "source", *ONE_NIC)
    assert said.code == 0
    assert said.out.splitlines()[1].startswith(
        "With shared links: 3.631 ms against 2.510 ms without (+44.68 %); 4 of 4 transfers"
    )
    for part in ("\nLinks\n", "Transfers slowed most", "Taken for granted:"):
        assert part in said.out


def test_without_the_flag_nothing_is_told_of_links() -> None:
    said = call("predict", "--et", DRAWN, "--hw", "source", "--json")
    assert "contention" not in json.loads(said.out)


def test_a_placement_without_the_flag_is_refused() -> None:
    said = call("predict", "--et", DRAWN, "--hw", "source", "--placement", "ranks-per-node=2")
    assert "add --contention" in said.fault(2)


def test_csv_has_no_place_for_it() -> None:
    said = call("predict", "--et", DRAWN, "--hw", "source", "--contention", "--csv")
    assert "--contention goes with --json" in said.fault(2)


def test_a_placement_that_cannot_be_read_is_told_before_any_answer() -> None:
    said = call("predict", "--et", DRAWN, "--hw", "source", "--contention", "--placement", "nics=2")
    assert "no key 'nics' (one of ranks-per-node, devices-per-port" in said.fault(2)


def test_a_changed_run_shares_links_too() -> None:
    """Links of half the bandwidth: each shared transfer takes twice as long again."""
    asked = ("whatif", "--et", DRAWN, "--hw", "source", *ONE_NIC, "--json")
    plain = json.loads(call(*asked, "--apply", "link:bandwidth=1").out)["contention"]
    halved = json.loads(call(*asked, "--apply", "link:bandwidth=0.5").out)["contention"]
    assert plain["shared_ns"] == pytest.approx(3_631_440, abs=2)
    assert halved["shared_ns"] > plain["shared_ns"] + 2 * 900_000
    assert halved["shared_ns"] > halved["without_ns"]


def test_a_changed_run_tells_what_sharing_costs() -> None:
    said = call("whatif", "--et", DRAWN, "--hw", "source", *ONE_NIC, "--apply", "link:bandwidth=1")
    assert said.code == 0
    assert "With shared links: 3.631 ms against 2.510 ms without" in said.out
    assert "Taken for granted:" in said.out


def test_a_placement_without_contention_is_refused_in_whatif() -> None:
    said = call("whatif", "--et", DRAWN, "--placement", "ranks-per-node=2")
    assert said.code == 2
    assert "add --contention" in said.err
