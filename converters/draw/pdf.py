"""Write a drawing as PDF of one page, by hand: no library, and no font on this machine.

The two fonts are Helvetica and Helvetica-Bold, which PDF readers bring along (ISO 32000-1, 9.6.2.2
the standard 14 fonts), in the encoding WinAnsi, which is Windows' code page 1252.
"""

import zlib
from collections.abc import Iterator

from .shapes import Drawing, Line, Point, Rect, Shape, Text, head_at, text_width

LARGEST_SIDE = 14_400.0  # points; what readers take (ISO 32000-1, annex C)
_CURVE = 0.5523  # control points of a Bézier quarter circle


def write_pdf(drawing: Drawing) -> bytes:
    """Give the PDF; a sheet larger than a page may be is shrunk to fit it."""
    scale = min(1.0, LARGEST_SIDE / max(drawing.width, drawing.height))
    content = "\n".join(_operators(drawing, scale)).encode("cp1252", errors="replace")
    packed = zlib.compress(content, 9)
    width, height = _number(drawing.width * scale), _number(drawing.height * scale)
    fonts = [
        f"<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>".encode()
        for name in ("Helvetica", "Helvetica-Bold")
    ]
    return _file(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Contents 4 0 R "
        "/Resources << /Font << /F1 5 0 R /F2 6 0 R >> >> >>".encode(),
        f"<< /Length {len(packed)} /Filter /FlateDecode >>\nstream\n".encode()
        + packed
        + b"\nendstream",
        *fonts,
        f"<< /Title {_utf16(drawing.title)} /Producer (etsim) >>".encode(),
    )


def unprintable(drawing: Drawing) -> int:
    """Count the texts with characters that the PDF's fonts lack; they are shown as `?`."""
    texts = [shape.text for shape in drawing.shapes if isinstance(shape, Text)]
    return sum(text.encode("cp1252", errors="ignore").decode("cp1252") != text for text in texts)


def _file(*objects: bytes) -> bytes:
    """Give header, numbered objects, the table of their offsets, and the trailer."""
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    table = len(out)
    size = len(objects) + 1
    out += f"xref\n0 {size}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{offset:010} 00000 n \n".encode() for offset in offsets)
    out += f"trailer\n<< /Size {size} /Root 1 0 R /Info {size - 1} 0 R >>\n".encode()
    out += f"startxref\n{table}\n%%EOF\n".encode()
    return bytes(out)


def _operators(drawing: Drawing, scale: float) -> Iterator[str]:
    # PDF counts y upwards: turn the sheet over once, and text back where it is drawn.
    yield f"{_number(scale)} 0 0 {_number(-scale)} 0 {_number(drawing.height * scale)} cm"
    for shape in drawing.shapes:
        yield from _shape(shape)


def _shape(shape: Shape) -> Iterator[str]:
    match shape:
        case Rect():
            yield from _rect(shape)
        case Line():
            yield from _line(shape)
        case Text():
            yield _text(shape)


def _rect(rect: Rect) -> Iterator[str]:
    if rect.fill:
        yield f"{_colour(rect.fill)} rg"
    if rect.border:
        yield f"{_colour(rect.border)} RG {_number(rect.line_width)} w [] 0 d"
    if rect.radius:
        yield from _rounded(rect)
    else:
        yield " ".join(map(_number, (rect.x, rect.y, rect.width, rect.height))) + " re"
    yield "B" if rect.fill and rect.border else "f" if rect.fill else "S" if rect.border else "n"


def _rounded(rect: Rect) -> Iterator[str]:
    """Go round from the upper left corner's right end: side, corner, side, corner."""
    left, top, right, bottom = rect.x, rect.y, rect.x + rect.width, rect.y + rect.height
    r, c = rect.radius, rect.radius * (1 - _CURVE)
    yield f"{_point((left + r, top))} m {_point((right - r, top))} l"
    yield _curve((right - c, top), (right, top + c), (right, top + r))
    yield f"{_point((right, bottom - r))} l"
    yield _curve((right, bottom - c), (right - c, bottom), (right - r, bottom))
    yield f"{_point((left + r, bottom))} l"
    yield _curve((left + c, bottom), (left, bottom - c), (left, bottom - r))
    yield f"{_point((left, top + r))} l"
    yield _curve((left, top + c), (left + c, top), (left + r, top)) + " h"


def _curve(first: Point, second: Point, end: Point) -> str:
    return f"{_point(first)} {_point(second)} {_point(end)} c"


def _line(line: Line) -> Iterator[str]:
    dash = " ".join(_number(part) for part in line.dash)
    yield f"{_colour(line.colour)} RG {_number(line.width)} w 1 j [{dash}] 0 d"
    first, *others = line.points
    yield " ".join([f"{_point(first)} m", *(f"{_point(point)} l" for point in others), "S"])
    for at_tail, wanted in ((False, line.head), (True, line.tail)):
        if wanted:
            tip, left, right = head_at(line, at_tail=at_tail)
            yield f"{_colour(line.colour)} rg"
            yield f"{_point(tip)} m {_point(left)} l {_point(right)} l h f"


def _text(text: Text) -> str:
    width = text_width(text.text, text.size, bold=text.bold)
    shift = {"start": 0.0, "middle": width / 2, "end": width}[text.anchor]
    place = _point((text.x - shift, text.y))
    font = f"/F{2 if text.bold else 1} {_number(text.size)} Tf"
    return f"BT {_colour(text.colour)} rg {font} 1 0 0 -1 {place} Tm {_string(text.text)} Tj ET"


def _string(text: str) -> str:
    plain = "".join(char if char.isprintable() else "?" for char in text)
    escaped = plain.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return f"({escaped})"


def _utf16(text: str) -> str:
    return f"<FEFF{text.encode('utf-16-be', errors='replace').hex().upper()}>"


def _colour(colour: str) -> str:
    """Give `#RRGGBB` as three shares of 1."""
    return " ".join(_number(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))


def _point(point: Point) -> str:
    return f"{_number(point[0])} {_number(point[1])}"


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
