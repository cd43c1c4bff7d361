"""`etsim sweep` as a user calls it: the fastest first, the front, and a sweep that goes on."""

import csv
import io
import json
from pathlib import Path

import pytest

from etsim.tests.cli.caller import call


def test_the_fastest_is_told_first_and_the_front_is_marked(mlp: Path) -> None:
    said = call("sweep", "--et", mlp, "--hw", "a100,h100", "--vary", "host:speed=1|2")
    assert said.code == 0
    assert said.out.startswith("Fastest of 4: ")
    assert "host:speed=2" in said.out.splitlines()[0]
    assert "\n*" in said.out


def test_a_range_of_a_figure_is_spanned(mlp: Path) -> None:
    said = call("sweep", "--et", mlp, "--hw", "a100", "--csv",
                "--range", "memory.bandwidth=1TB/s:4TB/s:4")  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert [row["figures"] for row in rows] == [f"memory.bandwidth={n} TB/s" for n in (1, 2, 3, 4)]


def test_a_kept_sweep_goes_on_with_what_is_missing(mlp: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    first = call("sweep", "--et", mlp, "--hw", "a100", "--resume", kept, "--json")
    line = json.loads(kept.read_text())
    kept.write_text(json.dumps({**line, "predicted_ns": 12345}) + "\n")
    both = json.loads(
        call("sweep", "--et", mlp, "--hw", "a100,h100", "--resume", kept, "--json").out
    )
    assert first.code == 0
    assert both["points"][0]["predicted_ns"] == 12345  # taken as kept, not computed again
    assert both["points"][1]["hardware"] == "h100"
    assert len(kept.read_text().splitlines()) == 2


def test_a_file_says_what_the_options_say(mlp: Path, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text("hw: [a100, h100]\nvary: ['host:speed=1|2']\n")
    by_file = call("sweep", "--et", mlp, "--file", sweep, "--csv")
    by_options = call("sweep", "--et", mlp, "--hw", "a100,h100", "--vary", "host:speed=1|2",
                      "--csv")  # fmt: skip
    assert by_file.out == by_options.out


@pytest.mark.parametrize(
    ("content", "told"),
    [("hw: [a100]\nspeed: 1\nvary: 3\n", "speed: unknown key"), ("- a100", "is no mapping")],
)
def test_a_file_with_faults_is_told_in_one_line(
    mlp: Path, tmp_path: Path, content: str, told: str
) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(content)
    said = call("sweep", "--et", mlp, "--file", sweep)
    assert said.code == 3
    assert told in said.err
    assert len(said.err.strip().splitlines()) == 1


def test_the_points_are_drawn_with_the_front_as_a_line(mlp: Path, tmp_path: Path) -> None:
    plot = tmp_path / "front.svg"
    said = call("sweep", "--et", mlp, "--hw", "a100,h100,l40s", "--plot", plot, "--json")
    front = json.loads(said.out)["front"]
    drawn = plot.read_text()
    assert drawn.count("<circle") == 3
    assert drawn.count('r="5"') == len(front)
    assert "<polyline" in drawn
    assert "USD a run" in drawn


def test_a_plot_is_an_svg(mlp: Path, tmp_path: Path) -> None:
    said = call("sweep", "--et", mlp, "--hw", "a100", "--plot", tmp_path / "front.png")
    assert said.code == 2
    assert not (tmp_path / "front.png").exists()


def test_no_machine_is_a_fault_of_usage(mlp: Path) -> None:
    assert call("sweep", "--et", mlp).code == 2


def test_points_that_do_not_fit_are_marked_and_never_the_fastest(mlp: Path) -> None:
    """4 million rows take 36 GB: more than an L4 has, less than an H100."""
    asked = ("sweep", "--et", mlp, "--vary", "batch:from=256,to=256|4000000")
    said = call(*asked, "--hw", "l4,h100")
    assert "35.9 GB (!)" in said.out
    assert "1 of 4 points do not fit" in said.err
    lines = call(*asked, "--hw", "l4", "--csv").out.splitlines()
    assert lines[0].endswith("memory bytes,fits")
    assert [line.rsplit(",", 1)[1] for line in lines[1:]] == ["True", "False"]
