"""Write a drawing as SVG: text stays text, and hovering tells what a shape is."""

from xml.sax.saxutils import escape, quoteattr

from .shapes import Drawing, Line, Rect, Shape, Text, head_at, text_width

# All as wide as Helvetica, or nearly; not every viewer heeds textLength.
_FONT = "Helvetica, Arial, 'Liberation Sans', 'Nimbus Sans', 'DejaVu Sans Condensed', sans-serif"


def write_svg(drawing: Drawing) -> str:
    """Give the SVG document."""
    width, height = _number(drawing.width), _number(drawing.height)
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}pt" height="{height}pt" '
        f'viewBox="0 0 {width} {height}" font-family={quoteattr(_FONT)}>\n'
        f"<title>{escape(drawing.title)}</title>\n"
        f'<rect width="{width}" height="{height}" fill="#FFFFFF"/>\n'
    )
    return head + "\n".join(_shape(shape) for shape in drawing.shapes) + "\n</svg>\n"


def _shape(shape: Shape) -> str:
    match shape:
        case Rect():
            return _rect(shape)
        case Line():
            return _line(shape)
        case Text():
            return _text(shape)


def _rect(rect: Rect) -> str:
    place = _attributes(x=rect.x, y=rect.y, width=rect.width, height=rect.height, rx=rect.radius)
    border = f' stroke="{rect.border}" stroke-width="{_number(rect.line_width)}"'
    fill = rect.fill or "none"
    return _hinted(f'<rect {place} fill="{fill}"{border if rect.border else ""}', rect.hint)


def _line(line: Line) -> str:
    points = " ".join(f"{_number(x)},{_number(y)}" for x, y in line.points)
    dash = " ".join(_number(part) for part in line.dash)
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    body = _hinted(
        f'<polyline points="{points}" fill="none" stroke="{line.colour}" '
        f'stroke-width="{_number(line.width)}" stroke-linejoin="round"{dashed}',
        line.hint,
    )
    ends = [at_tail for at_tail, wanted in ((False, line.head), (True, line.tail)) if wanted]
    return "\n".join([body, *(_head(line, at_tail) for at_tail in ends)])


def _head(line: Line, at_tail: bool) -> str:
    corners = head_at(line, at_tail=at_tail)
    points = " ".join(f"{_number(x)},{_number(y)}" for x, y in corners)
    return f'<polygon points="{points}" fill="{line.colour}"/>'


def _text(text: Text) -> str:
    place = _attributes(x=text.x, y=text.y)
    size = f'font-size="{_number(text.size)}" fill="{text.colour}" text-anchor="{text.anchor}"'
    weight = ' font-weight="bold"' if text.bold else ""
    # The width is fixed, so that a substituted font cannot make labels run into each other.
    fixed = _number(text_width(text.text, text.size, bold=text.bold))
    fitted = f' textLength="{fixed}" lengthAdjust="spacingAndGlyphs"' if text.text.isascii() else ""
    return f"<text {place} {size}{weight}{fitted}>{escape(_printable(text.text))}</text>"


def _hinted(element: str, hint: str) -> str:
    if not hint:
        return f"{element}/>"
    name = element[1:].split(" ", 1)[0]
    return f"{element}><title>{escape(_printable(hint))}</title></{name}>"


def _printable(text: str) -> str:
    """Replace what XML forbids: control characters and lone surrogates."""
    return "".join(char if char.isprintable() or char == "\n" else "�" for char in text)


def _attributes(**values: float) -> str:
    return " ".join(f'{key}="{_number(value)}"' for key, value in values.items())


def _number(value: float) -> str:
    """Give two digits after the point, fewer where they are noughts."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
