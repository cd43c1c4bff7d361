"""HTML pieces: no text becomes markup, whatever a trace is called."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from etsim.cli.page.elements import Markup, element, text, together


class Reader(HTMLParser):
    """Gathers the tags and the text of a piece."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.said = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [key for key, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.said += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


@given(st.text())
def test_no_name_opens_a_tag_or_leaves_its_attribute(name: str) -> None:
    found = read(element("p", name, title=name))
    assert found.tags == ["p"]
    assert found.attributes == ["title"]


@given(st.text(st.characters(categories=("L", "N", "P", "S"))))
def test_a_name_is_read_as_it_was_written(name: str) -> None:
    assert read(element("p", name)).said == name


def test_characters_that_no_page_may_hold_are_replaced() -> None:
    assert text("a\x00b\ud800\u202ec") == "a�b?�c"


def test_markup_is_not_escaped_twice() -> None:
    assert element("b", element("i", "<")) == "<b><i>&lt;</i></b>"
    assert together("<", Markup("<hr>")) == "&lt;<hr>"


def test_an_attribute_without_a_value_is_left_out() -> None:
    assert element("p", class_=None, id="x", data_key=1.25) == '<p id="x" data-key="1.2"></p>'
