"""Pictures as files: PDF, SVG, DOT and GraphML of any graph, readable by others."""

import re
import zlib
from pathlib import Path
from xml.etree import ElementTree as ET

import networkx as nx
import pytest
from hypothesis import given, settings

from etsim.converters.draw import (
    Detail,
    Form,
    Layout,
    Picture,
    Wish,
    compose,
    everything,
    form_of,
    graphviz_layout,
    render,
)
from etsim.converters.draw.graphml import to_networkx, write_graphml
from etsim.converters.draw.graphviz_layout import lacks_text, lay_out
from etsim.converters.draw.pdf import write_pdf
from etsim.converters.draw.shapes import Drawing
from etsim.models.errors import AnalysisError, MissingToolError, UsageError
from etsim.models.graph import Category, EdgeKind, ExecutionGraph, LaneKind
from etsim.models.graph_builder import GraphBuilder
from etsim.tests.strategies import execution_graphs


def launch_graph() -> ExecutionGraph:
    """Two rows and an edge: `say "(hi)\\"` --launch, lag 5--> fill<4>."""
    builder = GraphBuilder()
    host = builder.lane(LaneKind.HOST, 1, 17, "main")
    stream = builder.lane(LaneKind.DEVICE, 0, 7)
    launch = builder.add('say "(hi)\\"', host, duration_ns=1500, category=Category.LAUNCH)
    builder.add(
        "void fill<4>(int)",
        stream,
        duration_ns=2_500_000,
        start_ns=1505,
        category=Category.KERNEL,
        after=[(launch, EdgeKind.LAUNCH, 5)],
        module="Net/fill",
    )
    return builder.build()


def launch_picture() -> Picture:
    graph = launch_graph()
    return compose(graph, everything(graph), name="launch.et")


def texts_of_pdf(pdf: bytes) -> str:
    """Unpack the one content stream of a PDF of ours."""
    match = re.search(rb"stream\n(.*)\nendstream", pdf, re.DOTALL)
    assert match is not None
    return zlib.decompress(match[1]).decode("cp1252")


def test_pdf_shows_names_times_and_what_the_colours_mean() -> None:
    text = texts_of_pdf(render(launch_picture(), Form.PDF).content)
    for shown in ("Dependency graph of launch.et", "2.50 ms", "1.50 µs", "(fill)", "kernel"):
        assert shown in text
    assert r"say \"" not in text
    assert r'say "\(hi\)\\"' in text  # brackets and backslash are special in PDF strings


def test_pdf_names_a_font_of_the_reader_and_embeds_none() -> None:
    pdf = render(launch_picture(), Form.PDF).content
    assert b"/BaseFont /Helvetica " in pdf
    assert b"/FontFile" not in pdf


def test_pdf_offsets_point_at_their_objects() -> None:
    pdf = render(launch_picture(), Form.PDF).content
    table = int(pdf.rsplit(b"startxref\n", 1)[1].split(b"\n")[0])
    assert pdf[table:].startswith(b"xref\n0 8\n")
    offsets = [int(line[:10]) for line in pdf[table:].split(b"\n")[3:10]]
    for number, offset in enumerate(offsets, start=1):
        assert pdf[offset:].startswith(f"{number} 0 obj\n".encode())


def test_pdf_of_a_giant_sheet_is_shrunk_to_the_largest_page() -> None:
    pdf = write_pdf(Drawing(28_800.0, 14_400.0, ()))
    assert b"/MediaBox [0 0 14400 7200]" in pdf


def test_pdf_counts_the_labels_that_its_fonts_cannot_show() -> None:
    builder = GraphBuilder()
    builder.add("矩阵乘法", builder.lane(LaneKind.HOST, 1, 1), duration_ns=1)
    graph = builder.build()
    rendered = render(compose(graph, everything(graph)), Form.PDF)
    assert rendered.notes == (
        "labels shown with ?: 1 (PDF's fonts lack their characters, .svg has them)",
    )


def test_svg_is_xml_with_the_whole_name_on_hovering() -> None:
    root = ET.fromstring(render(launch_picture(), Form.SVG).content)
    titles = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any("void fill<4>(int)\nkernel\n2.50 ms (2,500,000 ns)" in title for title in titles)


def test_dot_needs_no_graphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphviz_layout, "_is_installed", lambda: False)
    assert b"digraph" in render(launch_picture(), Form.DOT, Layout.DOT).content


def test_dot_is_what_graphviz_reads() -> None:
    pygraphviz = pytest.importorskip("pygraphviz")
    dot = render(launch_picture(), Form.DOT).content.decode()
    graph = pygraphviz.AGraph(string=dot)
    assert sorted(graph.nodes()) == ["legend", "n0", "n1"]
    assert graph.edges() == [("n0", "n1")]
    assert graph.get_edge("n0", "n1").attr["style"] == "dashed"
    assert [cluster.graph_attr["label"] for cluster in graph.subgraphs()] == [
        "host thread 17 main",
        "device 0 stream 7",
    ]
    assert graph.get_node("n0").attr["label"] == r"say \"(hi)\\\"\n1.50 µs".replace('\\"', '"')


def test_graphml_has_every_row_with_every_attribute() -> None:
    graph = launch_graph()
    document = write_graphml(to_networkx(graph, everything(graph)))
    read = nx.parse_graphml(document.decode(), force_multigraph=True)
    assert read.nodes["n1"] == {
        "name": "void fill<4>(int)", "category": "kernel", "kind": "COMP", "rank": 0,
        "lane": "device 0 stream 7", "start_ns": 1505, "duration_ns": 2_500_000, "step": "",
        "phase": "", "module": "Net/fill", "flops": 0, "bytes": 0, "provenance": "measured",
    }  # fmt: skip
    assert list(read.edges(data=True)) == [("n0", "n1", {"kind": "launch", "lag_ns": 5})]


def test_graphviz_lays_the_same_picture_out() -> None:
    pytest.importorskip("pygraphviz")
    svg = render(launch_picture(), Form.SVG, Layout.DOT).content
    assert b"2.50 ms" in svg


def test_graphviz_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphviz_layout, "_is_installed", lambda: False)
    with pytest.raises(MissingToolError, match="pip install pygraphviz"):
        render(launch_picture(), Form.PDF, Layout.DOT)


def test_graphviz_that_fails_is_told_in_one_line() -> None:
    pytest.importorskip("pygraphviz")
    with pytest.raises(AnalysisError, match="Graphviz failed"):
        lay_out("this is no graph", "pdf")


def test_graphviz_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("pygraphviz")
    sleeper = tmp_path / "sleep.py"
    sleeper.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(graphviz_layout, "_PROCESS", sleeper)
    with pytest.raises(AnalysisError, match="still laying out after 0 s"):
        lay_out("digraph {}", "pdf", timeout_s=0.2)


def test_a_pdf_without_fonts_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Graphviz finds fonts through fontconfig; without any it leaves all text out, silently."""
    pytest.importorskip("pygraphviz")
    empty = tmp_path / "fonts.conf"
    empty.write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">'
        f"<fontconfig><dir>{tmp_path}/none</dir><cachedir>{tmp_path}/cache</cachedir></fontconfig>"
    )
    monkeypatch.setenv("FONTCONFIG_FILE", str(empty))
    rendered = render(launch_picture(), Form.PDF, Layout.DOT)
    assert lacks_text(rendered.content)
    assert "no font was found" in rendered.notes[0]


@pytest.mark.parametrize(("name", "form"), [("a.PDF", Form.PDF), ("b.graphml", Form.GRAPHML)])
def test_the_suffix_says_the_form(name: str, form: Form) -> None:
    assert form_of(Path(name)) is form


@pytest.mark.parametrize("name", ["a.png", "graph"])
def test_an_unknown_suffix_lists_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError, match=r"\.pdf, \.svg, \.dot or \.graphml"):
        form_of(Path(name))


@settings(deadline=None, max_examples=25)
@given(execution_graphs(min_rows=1))
def test_any_graph_becomes_every_file(graph: ExecutionGraph) -> None:
    for detail in Detail:
        picture = compose(graph, everything(graph), Wish(detail, max_boxes=5))
        assert render(picture, Form.PDF).content.startswith(b"%PDF-")
        ET.fromstring(render(picture, Form.SVG).content)
        assert render(picture, Form.DOT).content.endswith(b"}\n")
        nx.parse_graphml(render(picture, Form.GRAPHML).content.decode(), force_multigraph=True)
    whole = to_networkx(graph, everything(graph))
    assert whole.number_of_nodes() == len(graph)
    assert whole.number_of_edges() == graph.edge_count
    nx.parse_graphml(write_graphml(whole).decode(), force_multigraph=True)
