"""How well a model answers from passages: right, silent when it should be, undistracted, with true citations.

Every function asks a model through `Ask` and gives back numbers with intervals. Right means that the answer states all
key facts of the golden question (`coursekit.scoreboard.states_key_facts`). Questions take turns with the three prompt layouts.
Answers may be long, so how much of what they say comes from a passage with the answer is measured too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from coursekit.corpus import Question
from coursekit.corpus.baseline.resampling import Estimate, estimate
from coursekit.model_card.grounded_cases import Case, CaseMaker, Others
from coursekit.model_card.grounded_prompts import ABSTAIN, LAYOUTS, Messages, layout_of, names
from coursekit.scoreboard import abstains, states_key_facts

Ask = Callable[[str, Messages], tuple[str, int]]  # model, messages -> text, tokens of the text

CITATIONS = {
    "number": ("Cite the passage after every sentence as [1].", r"\[(\d+)\]", "numbered"),
    "label": ("Cite the document id after every sentence like [doc-id].", r"\[([\w-]+)\]", "elements"),
    "source": ("Name the source of every sentence in the form (source: doc-id).", r"\(source: ([\w-]+)\)", "sections"),
    "footnotes": ("Give the sources as footnotes like [^1].", r"\[\^(\d+)\]", "elements"),
    "quote": ("Quote the passage verbatim for every statement and cite it as [doc-id].", r"\[([\w-]+)\]", "elements"),
}


@dataclass(frozen=True)
class Accuracy:
    """Answers with the right passages in the prompt.

    Attributes:
        right: share of answers that state all key facts.
        multi_hop: the same for questions that need several passages; None when there are none.
        precision: share of what was said (units of text) that stands in a passage with the answer.
        median_tokens: of the answers that are not abstentions.
        abstained: share of abstentions, all of them false.
    """

    right: Estimate
    multi_hop: Estimate | None
    precision: Estimate
    median_tokens: float
    abstained: Estimate


@dataclass(frozen=True)
class Silence:
    """What happens without the right passage: abstentions when told to, made-up answers when not."""

    abstained_when_told: Estimate
    fabricated_when_not: Estimate


def accuracy(
    ask: Ask,
    maker: CaseMaker,
    model: str,
    questions: Iterable[Question],
    passages: int = 5,
    rules: Sequence[str] = (ABSTAIN,),
    others: Others = "random",
    place: float | None = None,
) -> Accuracy:
    """Ask every answerable question with its right passages among `passages`."""
    right, hops, precise, lengths, silent = [], [], [], [], []
    for question in questions:
        if not question.answerable:
            continue
        case = maker.case(question, passages=passages, others=others, place=place)
        text, tokens = ask(model, layout_of(case)(case, rules))
        stated = float(states_key_facts(text, question.key_facts))
        right.append(stated)
        hops += [stated] if question.category == "multi-hop" else []
        silent.append(float(abstains(text) and not stated))
        if not silent[-1]:
            lengths.append(tokens)
            precise.append(_precision(text, case))
    return Accuracy(
        estimate(right), estimate(hops) if hops else None, estimate(precise), median(lengths), estimate(silent)
    )


def silence(
    ask: Ask,
    maker: CaseMaker,
    model: str,
    questions: Iterable[Question],
    passages: int = 5,
    others: Others = "random",
) -> Silence:
    """Ask every answerable question with distractors only, once with the permission to abstain and once without."""
    told, untold = [], []
    for question in questions:
        if question.answerable:
            case = maker.case(question, passages=passages, others=others, answer=False)
            told.append(float(abstains(ask(model, layout_of(case)(case, (ABSTAIN,)))[0])))
            untold.append(float(not abstains(ask(model, layout_of(case)(case, ()))[0])))
    return Silence(estimate(told), estimate(untold))


def by_place(
    ask: Ask,
    maker: CaseMaker,
    model: str,
    questions: Sequence[Question],
    passages: int,
    places: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0),
) -> dict[float, Estimate]:
    """Share of right answers by where the right passages stand, 0 first to 1 last; nobody is told to abstain."""
    return {place: accuracy(ask, maker, model, questions, passages, (), place=place).right for place in places}


def false_citations(
    ask: Ask, maker: CaseMaker, model: str, questions: Iterable[Question]
) -> dict[str, tuple[Estimate, Estimate]]:
    """By form: share of answers that cite in it, and share of cited statements whose passage does not hold them."""
    asked = [question for question in questions if question.answerable]
    found = {}
    for form, (rule, pattern, layout) in CITATIONS.items():
        cites, false = [], []
        for question in asked:
            case = maker.case(question)
            text, _ = ask(model, LAYOUTS[layout](case, (rule,)))
            known = {str(i): piece for i, piece in enumerate(case.passages, start=1)}
            known |= dict(zip(names(case), case.passages, strict=True))
            pairs = _cited(text, re.compile(pattern), known.keys(), footnotes=form == "footnotes")
            cites.append(float(bool(pairs)))
            false += [float(not _holds(known[source].text, statement)) for statement, source in pairs]
        found[form] = (estimate(cites), estimate(false or [0.0]))
    return found


def _cited(text: str, mark: re.Pattern[str], known: Collection[str], *, footnotes: bool) -> list[tuple[str, str]]:
    """(statement, source) pairs; a footnote's number is replaced by the source that it stands for.

    Brackets that name none of the `known` sources are part of the text.
    """
    body, _, notes = text.partition("\n\n[^") if footnotes else (text, "", "")
    sources = dict(re.findall(r"\[?\^?(\d+)\]: (\S+)", f"[^{notes}")) if footnotes else {}
    pairs: list[tuple[str, str]] = []
    start = 0
    for match in mark.finditer(body):
        source = str(sources.get(match.group(1), match.group(1)))
        if source in known:
            pairs.append((body[start : match.start()].strip(' ."`-\n'), source))
            start = match.end()
    return [pair for pair in pairs if pair[0]]


def _precision(text: str, case: Case) -> float:
    parts = [part for part in re.split(r"(?<=[.!?:`])\s+|\n", text) if len(part.split()) >= 3]
    gold = " ".join(piece.text for piece in case.passages if piece.holds_answer)
    return sum(_holds(gold, part) for part in parts) / len(parts) if parts else 1.0


def _holds(passage: str, statement: str) -> bool:
    """Whether nine tenths of a statement's words stand in a passage (rows are said with their headers)."""
    present, wanted = set(_words(passage)), _words(statement)
    return sum(word in present for word in wanted) >= 0.9 * len(wanted)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
