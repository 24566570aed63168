"""Sit every exam with the simulated models, over HTTP, and collect one table of shares with intervals.

Golden questions come from the corpus that course.yml names; the other exams are this package's own (`exams/`). The `dev`
half may be looked at while a model is improved, the `test` half is only reported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import openai

from coursekit import corpus, models
from coursekit.corpus.baseline.resampling import Estimate
from coursekit.corpus.vocabulary import SPLITS
from coursekit.errors import CourseError
from coursekit.model_card import (
    classification,
    expansion,
    extraction,
    grounded,
    injection,
    judging,
    rewriting,
    summary,
    tools,
)
from coursekit.model_card.grounded_cases import CaseMaker, Others
from coursekit.model_card.grounded_prompts import ABSTAIN
from coursekit.model_card.scoring import Messages, ask_for_tokens

SAMPLE = 60  # questions for what is asked several times over: places of the answer, forms of citation
LONG = 15  # passages of a prompt in which the right one changes its place
MODELS = ("sim-small", "sim-large", "sim-reasoner")
Row = tuple[str, Estimate]


@dataclass(frozen=True)
class ExamShare:
    """One number of one model on one half: the skill, what was measured, the share with its interval."""

    skill: str
    measure: str
    model: str
    split: str
    share: Estimate


class Examiner:
    """Asks one endpoint; prepares the corpus's cases once."""

    def __init__(self, client: openai.OpenAI) -> None:
        self.client = client
        self._maker: CaseMaker | None = None

    def ask(self, model: str, messages: Messages) -> tuple[str, int]:
        """A greedy reply and its tokens; a prompt that does not fit the window is an empty reply."""
        return ask_for_tokens(self.client, model, messages)

    @property
    def maker(self) -> CaseMaker:
        """The golden questions' passages and distractors."""
        if self._maker is None:
            self._maker = CaseMaker(corpus.load())
        return self._maker

    def answering(self, model: str, split: str) -> list[Row]:
        """Grounded answering: right, false abstentions, silence without the answer, distractors."""
        questions = self.maker.corpus.questions(split)

        def accuracy(passages: int = 5, others: Others = "random", rules: Sequence[str] = ()) -> grounded.Accuracy:
            return grounded.accuracy(self.ask, self.maker, model, questions, passages, rules, others)

        free, crowd, near = accuracy(), accuracy(21), accuracy(others="retrieved")
        told, near_told = accuracy(rules=(ABSTAIN,)), accuracy(others="retrieved", rules=(ABSTAIN,))
        silent = grounded.silence(self.ask, self.maker, model, questions)
        near_silent = grounded.silence(self.ask, self.maker, model, questions, others="retrieved")
        brief = accuracy(rules=("Answer in at most 60 words.",))
        rows = [
            ("states all key facts: right passage and 4 random ones", free.right),
            ("the same, right passage and 20 random ones", crowd.right),
            ("the same, right passage and 4 retrieved ones", near.right),
            ("the same, 4 random ones, at most 60 words", brief.right),
            ("share of the answer that comes from a right passage, 4 random ones", free.precision),
            ("share of the answer that comes from a right passage, at most 60 words", brief.precision),
            ("abstains when told to: 5 random passages", silent.abstained_when_told),
            ("abstains when told to: 5 retrieved, wrong passages", near_silent.abstained_when_told),
            ("abstains although the answer is there, 4 random ones", told.abstained),
            ("abstains although the answer is there, 4 retrieved ones", near_told.abstained),
            ("makes up an answer when not told to abstain, 5 random passages", silent.fabricated_when_not),
        ]
        if free.multi_hop is not None:
            rows.append(("states all key facts, multi-hop", free.multi_hop))
        some = [question for question in questions if question.answerable][:SAMPLE]
        by_place = grounded.by_place(self.ask, self.maker, model, some, LONG)
        rows += [(f"right passage at {place:.0%} of {LONG}", share) for place, share in by_place.items()]
        for form, (cites, false) in grounded.false_citations(self.ask, self.maker, model, some).items():
            rows += [(f"cites as told, form: {form}", cites), (f"false among its citations, form: {form}", false)]
        return rows

    def obeying(self, model: str, split: str) -> list[Row]:
        """Injected instructions, by the prompt's defence."""
        found = injection.obedience(self.ask, model, injection.load_cases(split))
        return [(f"obeys an injected instruction, defence: {name}", share) for name, share in found.items()]

    def tools(self, model: str, split: str) -> list[Row]:
        """Tool calls."""
        scores = tools.score_tools(self.client, model, split)
        return [
            ("right tool and valid arguments", scores.right_tool_and_valid),
            ("whole case right", scores.right),
            ("calls that fit the tool's schema", scores.valid),
        ]

    def extraction(self, model: str, split: str) -> list[Row]:
        """Filling a JSON schema."""
        scores = extraction.score_extraction(self.client, model, split)
        return [("right fields", scores.fields), ("replies that fit the schema", scores.valid)]

    def tasks(self, model: str, split: str) -> list[Row]:
        """Judging, rewriting, expansion, classification, summary."""
        judged = judging.score(self.client, model, split)
        pairwise = judging.position_bias(self.client, model, split)
        exams = {
            "follow-up rewritten to stand alone": rewriting.score,
            "query variants valid in form": expansion.score_form,
            "query variants with other words": expansion.score,
            "right label": classification.score,
            "summary within its limit with all facts": summary.score,
        }
        return [
            ("judge agrees with the label", judged.share),
            *((f"judge agrees, {rubric}", share) for rubric, share in judged.by_group.items()),
            ("judge scores right above wrong answers", judging.score_order(self.client, model, split)),
            ("judge prefers the right one of two answers", pairwise.right),
            ("its preference changes with their order", pairwise.flips),
            ("it prefers the first one", pairwise.first),
            *((name, score(self.client, model, split).share) for name, score in exams.items()),
        ]


SKILLS: Mapping[str, Callable[[Examiner, str, str], list[Row]]] = {
    "answering": Examiner.answering,
    "injection": Examiner.obeying,
    "tools": Examiner.tools,
    "extraction": Examiner.extraction,
    "tasks": Examiner.tasks,
}


def measure(
    skills: Collection[str] = tuple(SKILLS),
    names: Collection[str] = MODELS,
    splits: Collection[str] = SPLITS,
    say: Callable[[str], None] = lambda _: None,
) -> list[ExamShare]:
    """Measure some skills of some models on some halves.

    Raises:
        CourseError: a skill, model or split that does not exist.
    """
    for kind, given, known in (("skill", skills, SKILLS), ("model", names, MODELS), ("split", splits, SPLITS)):
        for name in given:
            if name not in known:
                raise CourseError(f"there is no {kind} {name!r}; use {', '.join(known)}")
    found = []
    examiner = Examiner(models.bench(timeout=120.0).openai)
    for skill in skills:
        for split in splits:
            for model in names:
                say(f"{skill}: {model}, {split}")
                rows = SKILLS[skill](examiner, model, split)
                found += [ExamShare(skill, measure, model, split, share) for measure, share in rows]
    return found
