"""Read a chat prompt: which part is the question, which the context, which the instructions.

The reader knows common layouts (XML-like tags, numbered or named sources, a "Context:" heading, plain paragraphs)
and no particular prompt. What it cannot tell apart it treats as a model would: as more context.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from simllm.chat import Message
from simllm.skills import background, layout, unmarked
from simllm.skills.instructions import Rules, read_rules
from simllm.skills.json_passages import json_passages
from simllm.skills.layout import Passage
from simllm.skills.words import terms

_QUESTION_TAG = re.compile(r"<(question|query|user_question|user_query)>(.*?)</\1>", re.S | re.I)
_QUESTION_MARK = re.compile(
    r"^[ \t#*>_-]*(?:(?:the |user |user's )?(?:question|query|q|request)[ \t*_]*:|(?<=#)[ \t]*(?:user )?(?:question|query)[ \t]*$)"
    r"[ \t*_]*(.*?)"
    r"(?=^[ \t#*>_-]*(?:(?:final |your )?answer|response|context|sources?|documents?)\b[ \t*_]*(?::|$)|\Z)",
    re.S | re.I | re.M,
)
_ANSWER_CUE = re.compile(
    r"^[\s#*_-]*(?:(?:final |your |short |the )?(?:answer|response|reply|json)\b[ \t*_]*:?|a[ \t]*:)[\s*_]*$",
    re.I | re.M,
)
_INSTRUCTION = re.compile(
    r"^\W*(?:you are\b|your (?:task|job|role)\b|act as\b|please (?:answer|use|respond|reply|cite)|"
    r"(?:always |only |never |do not |don't )?(?:answer|respond|reply|cite|use|return|output|write|quote|keep|base|say|rely|follow)\b"
    r"|if (?:the|you|no|none|there|it)\b.*\b(?:say|answer|reply|respond|write|return)\b"
    r"|(?:using|based on|given|with) (?:only )?(?:the|these|this)\b)",
    re.I | re.S,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_MIN_PASSAGE_WORDS = 6


@dataclass(frozen=True)
class Prompt:
    """What the prompt asks for.

    Attributes:
        question: the last user message's question.
        earlier_question: the user's turn before it, or "".
        passages: the context, in prompt order.
        rules: what the instructions ask of the answer.
        instructions: the instruction text itself.
    """

    question: str
    earlier_question: str
    passages: tuple[Passage, ...]
    rules: Rules
    instructions: str


def read_prompt(messages: Sequence[Message]) -> Prompt:
    """Split a chat into question, context and instructions."""
    instructions: list[str] = []
    passages: list[Passage] = []
    users = [i for i, message in enumerate(messages) if message.role == "user"]
    last = users[-1] if users else len(messages) - 1
    question = earlier = ""
    told: list[Passage] = []
    for i, message in enumerate(messages):
        if message.role == "assistant" and i != last:
            continue
        if message.role == "tool":  # a result is context, however it is laid out
            found, _ = layout.tagged_passages(message.text)
            passages += found or ([Passage("", message.text)] if message.text.strip() else [])
            continue
        own, found, rest = _split(message.text, apart=message.role != "user")
        passages += found
        if i == last:
            question = own
        elif message.role == "user":
            earlier = own or earlier
            if len(own.split()) > 2 and not _asks(own) and not _is_instruction(own):
                told.append(Passage("", own))
        instructions.append(rest)
    text = "\n\n".join(part for part in instructions if part.strip())
    if not passages and question.strip():
        told_once = [p for m in messages if m.role in ("system", "developer") for p in background.stated(m.text)]
        if background.speaks_of(told_once, question, text):
            passages = told_once
    if not passages:  # what the user said in earlier turns is all there is to know
        about = set(terms(question))
        passages = [passage for passage in told if about & set(terms(passage.text))]
    return Prompt(question.strip(), earlier.strip(), tuple(layout.number(passages)), read_rules(text), text)


def _split(text: str, *, apart: bool) -> tuple[str, list[Passage], str]:
    """One message as (question, passages, instructions)."""
    tagged = _QUESTION_TAG.findall(text)
    text = _QUESTION_TAG.sub("\n", text)
    passages, text = layout.tagged_passages(text)
    asked = ""
    if not passages:
        passages, asked, text = json_passages(text)
    if asked:
        tagged = [*tagged, ("question", asked)]
    if apart:
        found, text = _marked_passages(text)
        return "", passages + found, text
    text = unmarked.own_lines(text)
    question, *rest = (tagged[-1][1], text, "") if tagged else _around_question(text)
    for i, part in enumerate(rest):
        if not passages:
            passages, rest[i] = _marked_passages(part)
    if not question:
        question, passages = _last_asked(_ANSWER_CUE.sub("", "\n\n".join(rest)), passages)
        if question:
            return question, passages, "\n\n".join(rest)
        return _plain_question(_ANSWER_CUE.sub("", "\n\n".join(rest)), passages)
    instructions = "\n\n".join(rest)
    if not passages:
        passages, instructions = _plain_passages(instructions)
    return _ANSWER_CUE.sub("", question), passages, instructions


def _around_question(text: str) -> tuple[str, str, str]:
    """(question, text before it, text after it): the marked one, else an asking last or first paragraph."""
    marked = list(_QUESTION_MARK.finditer(text))
    if marked:
        found = marked[-1]
        before, behind = text[: found.start()], text[found.end() :]
        question, context = found.group(1), ""
        if len(before.split()) < unmarked.LEAST_WORDS or _is_instruction(before):
            question, context = unmarked.context_behind(question)
        behind = _ANSWER_CUE.sub("", f"{context}\n\n{behind}") if context else unmarked.without_cue(behind)
        return question, before, behind
    headed = unmarked.question_heading(text)
    if headed:
        return _ANSWER_CUE.sub("", headed[0]), headed[1], ""
    paragraphs = re.split(r"\n[ \t]*\n", _ANSWER_CUE.sub("", text).strip())
    if len(paragraphs) > 1 and _asks(paragraphs[-1]):
        return paragraphs[-1], "\n\n".join(paragraphs[:-1]), ""
    if len(paragraphs) > 1 and _asks(paragraphs[0]):
        return paragraphs[0], "", "\n\n".join(paragraphs[1:])
    return "", text, ""


def _marked_passages(text: str) -> tuple[list[Passage], str]:
    passages, rest = layout.headed_passages(text)
    return (passages, rest) if passages else layout.labelled_passages(text)


def _asks(paragraph: str) -> bool:
    return paragraph.rstrip("*_\"' \n").endswith("?")


def _last_asked(text: str, passages: list[Passage]) -> tuple[str, list[Passage]]:
    """The question in the last line of the context, where nothing else in the message speaks."""
    if any(not _is_instruction(p) for p in text.split("\n\n") if p.strip()):
        return "", passages
    cleaned = [*passages[:-1], *(replace(p, text=_ANSWER_CUE.sub("", p.text).rstrip()) for p in passages[-1:])]
    question, left = unmarked.question_within(cleaned)
    return (question, left) if question else ("", passages)


def _plain_question(text: str, passages: list[Passage]) -> tuple[str, list[Passage], str]:
    """Take the last paragraph that speaks as the question; facts before it in the same paragraph are context."""
    paragraphs = [p.strip() for p in re.split(r"\n\s*\n", text) if p.strip()]
    if not paragraphs:
        return "", passages, ""
    asking = [p for p in paragraphs if _asks(p)]
    speaking = [p for p in paragraphs if not _is_instruction(p)]
    question = (asking or speaking or paragraphs)[-1]
    rest = [p for p in paragraphs if p is not question]
    if not rest and not passages:
        lead, question = unmarked.fenced_context(question)
        if not lead:
            lead, question = _context_before_question(question)
        if not lead:
            lead, question = unmarked.context_below(question)
        rest = [lead] if lead else []
    instructions = "\n\n".join(rest)
    if not passages:
        passages, instructions = _plain_passages(instructions)
    return question, passages, instructions


def _context_before_question(paragraph: str) -> tuple[str, str]:
    """ "Facts. More facts. Question?" as (facts, question)."""
    sentences = _SENTENCE.split(paragraph)
    lead = " ".join(s for s in sentences[:-1] if not _is_instruction(s))
    if sentences[-1].endswith("?") and len(lead.split()) >= _MIN_PASSAGE_WORDS and "?" not in lead:
        return lead, sentences[-1]
    return "", paragraph


def _plain_passages(text: str) -> tuple[list[Passage], str]:
    """Paragraphs that state something, and the ones that instruct."""
    paragraphs = layout.paragraphs(text)
    stating = [p for p in paragraphs if len(p.split()) >= _MIN_PASSAGE_WORDS and not _is_instruction(p)]
    return [Passage("", p) for p in stating], "\n\n".join(p for p in paragraphs if p not in stating)


def _is_instruction(paragraph: str) -> bool:
    return bool(_INSTRUCTION.match(paragraph))
