"""Turn a picture into the bytes of a file: PDF, SVG, DOT or GraphML."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ...models.errors import UsageError
from .dot import write_dot
from .graphviz_layout import lacks_text, lay_out
from .pdf import LARGEST_SIDE, unprintable, write_pdf
from .picture import Picture
from .sheet import draw
from .svg import write_svg


class Form(Enum):
    """The files that a picture can become, by their suffix."""

    PDF = ".pdf"
    SVG = ".svg"
    DOT = ".dot"
    GRAPHML = ".graphml"


class Layout(Enum):
    """Who places boxes and arrows: etsim, lane by lane, or Graphviz."""

    LANES = "lanes"
    DOT = "dot"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A file's content, and what the reader should know about it."""

    content: bytes
    notes: tuple[str, ...] = ()


def form_of(path: Path) -> Form:
    """Tell the form by the file's suffix.

    Raises:
        UsageError: no form has that suffix.
    """
    try:
        return Form(path.suffix.lower())
    except ValueError:
        raise UsageError(
            f"no picture has the suffix {path.suffix!r}" if path.suffix else "has no suffix",
            where=path,
            remedy="end the name with .pdf, .svg, .dot or .graphml",
        ) from None


def render(picture: Picture, form: Form, layout: Layout = Layout.LANES) -> Rendered:
    """Give the file of a picture.

    Raises:
        MissingToolError: Graphviz is to lay it out and pygraphviz is not installed.
        AnalysisError: Graphviz failed.
    """
    if form is Form.DOT:
        return Rendered(write_dot(picture).encode())
    if form is Form.GRAPHML:
        from .graphml import picture_to_networkx, write_graphml  # noqa: PLC0415  # slow to import

        return Rendered(write_graphml(picture_to_networkx(picture)))
    if layout is Layout.DOT:
        return _by_graphviz(picture, form)
    drawing = draw(picture)
    if form is Form.SVG:
        return Rendered(write_svg(drawing).encode())
    notes = []
    if max(drawing.width, drawing.height) > LARGEST_SIDE:
        notes.append("the sheet was shrunk to the largest page there is; .svg has no such limit")
    if odd := unprintable(drawing):
        why = "PDF's fonts lack their characters, .svg has them"
        notes.append(f"labels shown with ?: {odd} ({why})")
    return Rendered(write_pdf(drawing), tuple(notes))


def _by_graphviz(picture: Picture, form: Form) -> Rendered:
    content = lay_out(write_dot(picture), form.value.removeprefix("."))
    if form is Form.PDF and lacks_text(content):
        told = "no font was found on this machine: the picture has no text; leave out --layout dot"
        return Rendered(content, (told,))
    return Rendered(content)
