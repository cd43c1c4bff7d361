"""The published JSON of `etsim report`: what the page shows, under the keys of the other verbs."""

from ..simulator.breakdown.groups import Grouping
from ..simulator.collective_skew import SkewReport
from .breakdown_json import Json, parts_json
from .breakdown_json import document as breakdown_document
from .explain import document as explain_document
from .report_content import Answer, Content, Split
from .report_headline import headline
from .whatif import published as whatif_document

ALL = 10  # contributors and slack, as `etsim explain` shows them


def document(content: Content) -> Json:
    """Give the whole report as data."""
    return {
        "name": content.name,
        "command": content.command,
        "versions": dict(content.versions),
        "ranks": list(content.ranks),
        "rows": content.rows,
        "steps": list(content.steps),
        "recorded": _split(content.recorded, content.skew),
        "machines": [_answer(answer) for answer in content.answers],
        "notes": list(content.notes),
    }


def _answer(answer: Answer) -> Json:
    return {
        "headline": headline(answer),
        "self_check": answer.self_check,
        "prediction": answer.summary,
        "breakdown": _split(answer.split, None),
        "explanation": explain_document(answer.explanation, answer.summary.target, ALL),
        "whatif": None if answer.whatif is None else whatif_document(answer.whatif),
    }


def _split(split: Split, skew: SkewReport | None) -> Json:
    """As `etsim breakdown --by step`, and the groups of `--by module --classes` beside it."""
    modules = [
        {"rank": rank.rank, "module": group.name, **parts_json(group.parts),
         "operations": group.operations}
        for rank in split.modules for group in rank.groups
    ]  # fmt: skip
    return {**breakdown_document(split.steps, skew, Grouping.STEP, ()), "modules": modules}
