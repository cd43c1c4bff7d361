"""`etsim report` as a user calls it: a page that says what the other verbs say, and only that."""

import json
from pathlib import Path
from typing import Any

import pytest

from etsim.tests.cli.caller import RECORDED, Said, call, call_apart
from etsim.tests.cli.report_reader import ReportReader, read_report
from etsim.tests.kineto_maker import Recording, write_json

CHANGES = ("--apply", "host:speed=2", "--apply", "fuse:name=aten::add_")


@pytest.fixture(scope="module")
def html(mlp: Path) -> str:
    path = mlp.with_name("report.html")
    said = call("report", "--et", mlp, "--hw", "a100", "-o", path)
    assert said.code == 0, said
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> ReportReader:
    return read_report(html)


def told(*arguments: str | Path) -> dict[str, Any]:
    said = call(*arguments, "--json")
    assert said.code == 0, said
    found: dict[str, Any] = json.loads(said.out)
    return found


def test_the_page_is_whole_and_begins_with_the_sentence_of_predict(
    mlp: Path, html: str, page: ReportReader
) -> None:
    assert html.startswith("<!DOCTYPE html>\n<html ")
    assert html.endswith("</html>\n")
    assert page.depth == 0
    assert page.leads == [call("predict", "--et", mlp, "--hw", "a100").out.splitlines()[0]]


def test_the_numbers_are_those_of_predict(mlp: Path, page: ReportReader) -> None:
    found = told("predict", "--et", mlp, "--hw", "a100")
    (line,) = page.tables["machines"][1:]
    assert line[1].ns == found["predicted_ns"]
    assert [int(value) for value in line[2].values] == found["interval_ns"]
    assert line[3].number == found["predicted_ns"] / found["measured_ns"] - 1
    shares = {kind: cells[0].number for kind, cells in page.rows("provenance").items()}
    assert shares == found["provenance"]
    memory = {use: cells[0].ns for use, cells in page.rows("memory").items()}
    assert memory.pop("at the peak") == found["memory"]["peak_bytes"]
    assert memory.pop("of a100-sxm-80gb") == found["memory"]["device_bytes"]
    assert memory == found["memory"]["by_use"]


@pytest.mark.parametrize("kind", ["operators", "categories"])
def test_operators_have_their_times_and_their_bound(
    mlp: Path, page: ReportReader, kind: str
) -> None:
    found = told("predict", "--et", mlp, "--hw", "a100")[kind]
    rows = page.tables[kind][1:]
    assert [row[0].said for row in rows] == [share["name"] for share in found]
    assert [row[-1].said for row in rows] == [share["bound"] for share in found]
    assert [row[-2].number for row in rows] == [share["share"] for share in found]
    assert [row[-3].ns for row in rows] == [share["predicted_ns"] for share in found]


def test_path_and_sensitivity_are_those_of_explain(mlp: Path, page: ReportReader) -> None:
    found = told("explain", "--et", mlp, "--hw", "a100")
    path = [(row[0].said, row[3].ns) for row in page.tables["critical-path"][1:]]
    assert path == [(top["name"], top["duration_ns"]) for top in found["critical_path"]["top"]]
    moved = [(row[1].number, row[2].ns) for row in page.tables["sensitivity"][1:]]
    assert moved == [(entry["delta"], entry["total_ns"]) for entry in found["sensitivity"]]


def test_times_by_rank_and_module_are_those_of_breakdown(mlp: Path, page: ReportReader) -> None:
    found = told("breakdown", "--et", mlp, "--by", "step")
    line = page.rows("breakdown")["rank 0, recorded"]
    assert line[0].ns == found["window_ns"]
    assert line[1].number == found["computing_ns"] / found["window_ns"]
    steps = page.rows("steps")
    for group in found["groups"]:
        assert steps[f"{group['step']}, recorded"][0].ns == group["window_ns"]
    modules = told("breakdown", "--et", mlp, "--by", "module", "--classes")["groups"]
    shown = {name: cells[0].ns for name, cells in page.rows("modules").items() if cells[0].values}
    assert shown == {group["module"]: group["window_ns"] for group in modules}


def test_what_ifs_are_a_waterfall(mlp: Path, tmp_path: Path) -> None:
    path = tmp_path / "changed.html"
    assert call("report", "--et", mlp, "--hw", "a100", *CHANGES, "-o", path).code == 0
    found = told("whatif", "--et", mlp, "--hw", "a100", *CHANGES)
    rows = read_report(path.read_text(encoding="utf-8")).tables["whatif"][1:]
    assert [row[0].said for row in rows] == [stage["name"] for stage in found["stages"]]
    assert [row[1].ns for row in rows] == [stage["predicted_ns"] for stage in found["stages"]]
    assert [row[2].ns for row in rows[1:]] == [stage["change_ns"] for stage in found["stages"][1:]]


def test_memory_is_told_before_and_after_the_changes(mlp: Path, tmp_path: Path) -> None:
    changed = ("--hw", "a100", "--apply", "batch:from=64,to=512")
    assert call("report", "--et", mlp, *changed, "-o", tmp_path / "batch.html").code == 0
    found = told("whatif", "--et", mlp, *changed)["stages"]
    rows = read_report((tmp_path / "batch.html").read_text(encoding="utf-8")).rows("memory")
    peaks = [cell.ns for cell in rows["at the peak"]]
    assert peaks == [stage["memory"]["peak_bytes"] for stage in found]
    assert peaks[1] > peaks[0]
    activations = [cell.ns for cell in rows["activations"]]
    assert activations == [stage["memory"]["by_use"]["activations"] for stage in found]


def test_json_holds_what_the_other_verbs_publish(mlp: Path) -> None:
    found = told("report", "--et", mlp, "--hw", "a100", *CHANGES)
    assert set(found) == {
        "name", "command", "versions", "ranks", "rows", "steps", "recorded", "machines", "notes",
    }  # fmt: skip
    (machine,) = found["machines"]
    assert machine["prediction"] == told("predict", "--et", mlp, "--hw", "a100")
    assert machine["explanation"] == told("explain", "--et", mlp, "--hw", "a100")
    assert machine["whatif"] == told("whatif", "--et", mlp, "--hw", "a100", *CHANGES)
    recorded = told("breakdown", "--et", mlp, "--by", "step")
    assert {key: found["recorded"][key] for key in recorded if key != "notes"} == {
        key: value for key, value in recorded.items() if key != "notes"
    }


def test_nothing_is_loaded_from_elsewhere(html: str, page: ReportReader) -> None:
    assert "http:" not in html
    assert "https:" not in html
    assert "url(" not in html
    assert "@import" not in html
    assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    assert not set(page.attributes) & {"src", "srcset", "action", "style", "onload", "onclick"}
    assert all(link.startswith("#") for link in page.attributes["href"])


def test_the_same_files_give_the_same_bytes(mlp: Path, html: str) -> None:
    path = mlp.with_name("report.html")
    said = call_apart("report", "--et", mlp, "--hw", "a100", "-o", path)
    assert said.code == 0, said
    assert path.read_text(encoding="utf-8") == html


def test_many_ranks_and_machines_share_a_page(ddp: Path, tmp_path: Path) -> None:
    path = tmp_path / "ranks.html"
    said = call("report", "--et", ddp, "--hw", "source", "--hw", "a100", "-o", path)
    assert said.code == 0, said
    found = read_report(path.read_text(encoding="utf-8"))
    assert [lead.split()[0] for lead in found.leads] == ["Self-check", "Predicted"]
    assert list(found.rows("machines")) == [
        "replayed on the recording CPU", "predicted on a100-sxm-80gb",
    ]  # fmt: skip
    for rank in range(4):
        assert f"rank {rank}, recorded" in found.rows("breakdown")
    assert "all_reduce" in found.rows("collectives")


def hostile(tmp_path: Path) -> Said:
    """A run whose names are markup, in a file whose name is."""
    run = Recording(rank=0)
    run.op("<script>alert(1)</script>", 0, 50, shapes=[[512, 512]], types=["float"])
    run.kernel('"><img src=x onerror=alert(2)>', 100, 300, by=run.launch(10, 20))
    trace = write_json(tmp_path / "<b>&.json", run.kineto())
    return call("report", "--et", trace, "--hw", "h100", "-o", tmp_path / "page.html")


def test_names_are_never_markup(tmp_path: Path) -> None:
    said = hostile(tmp_path)
    assert said.code == 0, said
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    found = read_report(text)
    assert not found.tags & {"script", "img", "b"}
    assert "onerror" not in found.attributes
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<h1>&lt;b&gt;&amp;.json</h1>" in text


def test_memory_that_is_not_known_is_told(tmp_path: Path) -> None:
    assert hostile(tmp_path).code == 0
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<p>Memory: not known: " in text
    assert "memory" not in read_report(text).tables


def test_a_run_alone_is_checked_against_itself(mlp: Path, tmp_path: Path) -> None:
    said = call("report", "--et", mlp, "-o", tmp_path / "self.html")
    assert said.code == 0, said
    assert said.out.startswith("Self-check on the recording CPU: replayed ")
    assert "it needs nothing but itself" in said.out


def test_a_page_needs_a_place_and_the_name_of_a_page(mlp: Path, tmp_path: Path) -> None:
    assert "nowhere to write" in call("report", "--et", mlp).fault(2)
    fault = call("report", "--et", mlp, "-o", tmp_path / "report.pdf").fault(2)
    assert "end its name with .html" in fault


def test_a_fault_leaves_no_page(mlp: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    unknown = call("report", "--et", mlp, "--hw", "a100", "--apply", "ampp", "-o", path)
    assert "no transform 'ampp'" in unknown.fault(2)
    assert call("report", "--et", mlp, "--hw", "nowhere", "-o", path).code == 3
    assert not path.exists()
    call("convert", "--et", RECORDED / "mlp.et.json.gz", "-o", tmp_path / "untimed.et")
    assert "needs times" in call("report", "--et", tmp_path / "untimed.et", "-o", path).fault(3)
    assert not path.exists()
