"""Extractive summary within a limit: the sentences, or their main clauses, that say most per word.

Value of a sentence: its frequent content words (Luhn 1958), closeness to the whole text, numbers and names, an early place, cue words (Edmundson 1969); what is already
said counts no more (Carbonell and Goldstein 1998, maximal marginal relevance). The small model keeps to the beginning.
Nothing is rephrased, so nothing is invented.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from simllm.chat import ChatRequest
from simllm.skills.alignment import Reader
from simllm.skills.brief import read_brief
from simllm.skills.candidates import Candidate, Plan
from simllm.skills.limits import Limits, read_limits
from simllm.skills.outcome import Outcome, write
from simllm.skills.quantities import quantities
from simllm.skills.units import sentences
from simllm.skills.words import STOP_WORDS, terms

if TYPE_CHECKING:
    from simllm.skills import Toolbox

_TASK = re.compile(
    r"(?:^|[.!?:,;\n]\s*|\b(?:please|you|to|and|can you|could you|must|should|will|is to)\s+)(?:concisely |briefly |faithfully )?(?:summari[sz]e|sum up|shorten|condense|abridge|recap)\b|"
    r"\b(?:write|give|produce|provide|create|make|return|draft|need|want)\b[^.\n]{0,60}\b(?:summary|summaries|tl;?dr|recap|gist|abstract|key (?:points|facts)|main points)\b|^\W*(?:tl;?dr|summary)\b|\bsummary of at most\b",
    re.I,
)
_CLASSIFIES = re.compile(r"\b(?:classif\w+|categori[sz]\w+|label)\b", re.I)
_ASIDE = re.compile(r"\s*\([^()]*\)|\s+[–—]\s[^–—.]*[–—](?=\s)")
_TAIL = re.compile(
    r"(?:,? (?:which|because|although|while|whereas|so that|as well as|in order to|especially|including|even though)\b|; |: (?=\w+ \w+ \w+)|, (?:and|but|so|where|who|with|as) |\s[–—]\s)",
    re.I,
)
_LEAD = re.compile(
    r"^(?:However|Moreover|In addition|Additionally|Furthermore|Meanwhile|Therefore|Also|Finally|As a result|Of course|In fact|For example|Unfortunately|Fortunately), ",
    re.I,
)
_CUE = re.compile(
    r"\b(?:main|most important|turned out|caused?|reasons?|results?|therefore|decid\w+|conclu\w+|found|from (?:now|then|the \w+(?: \w+)?) on|must|will|in (?:all|total)|"
    r"at least|at most|until|deadline|because of|due to|key|in short|overall|finally|new|agreed|approved)\b",
    re.I,
)
_POINTS_BACK = re.compile(r"^(?:This|These|That|Those|It|They|He|She)\b")
DEFAULT_WORDS = 60
SENTENCE_WORDS = 25  # of the budget, where only sentences are counted
OVERHEAD = 8  # words: keeps very short sentences from looking cheap


def plan_summary(request: ChatRequest, tools: Toolbox) -> Plan | None:
    """One summary; None when the request asks for something else."""
    brief = read_brief(request.messages)
    skill = request.model.skill
    if (
        skill is None
        or not _TASK.search(brief.instructions)
        or _CLASSIFIES.search(brief.instructions)
        or brief.find("question", "quer")
    ):
        return None
    text = "\n".join(part.text for part in brief.parts) or "\n".join(turn.text for turn in brief.turns)
    limits = read_limits(brief.instructions)
    chosen = summarise(text, limits, Reader(skill, tools.embedder))
    if not chosen:
        return None
    said = "\n".join(f"- {one}" for one in chosen) if limits.bullets else " ".join(chosen)
    outcome = Outcome(said, items=tuple(chosen))
    return Plan((Candidate(write(outcome, request.format, brief.instructions), 1.0),), wander=0.0)


def summarise(text: str, limits: Limits, reader: Reader) -> list[str]:
    """The sentences of a summary, in the order of the text."""
    found = [
        s
        for line in text.split("\n")
        if line.strip()
        for s in sentences(re.sub(r"^\s*(?:[-*•#]+|\d+[.)])\s+", "", line).strip())
    ]
    found = [s for s in found if re.search(r"\w", s)]
    if not found:
        return []
    values = _word_values(text)
    central = _centrality(found, reader)
    chosen: dict[int, str] = {}
    said: set[str] = set()
    words = limits.words or (SENTENCE_WORDS * limits.sentences if limits.sentences else DEFAULT_WORDS)
    budget, room = words, limits.characters or 10**9
    while limits.sentences is None or len(chosen) < limits.sentences:
        options = []
        for i, sentence in enumerate(found):
            if i in chosen or (not reader.semantic and i > len(chosen)):
                continue  # the small model takes what comes next
            for form in _forms(sentence):
                length = len(form.split())
                if length > budget or len(form) + 1 > room:
                    continue
                worth = sum(values[t] for t in _facts(form) - said) * (1 + 0.6 * central[i])
                worth *= 1.25 if i == 0 else 1.0
                worth *= 1.0 + 0.25 * min(3, len(_CUE.findall(form)))
                worth *= 0.3 if form.endswith("?") else 1.0
                worth *= 0.8 if _POINTS_BACK.match(form) and i - 1 not in chosen else 1.0
                if worth > 0:
                    options.append((worth / (length + OVERHEAD), worth, -i, form))
        if not options:
            break
        density, _, minus, form = max(options)
        chosen[-minus] = form
        said |= _facts(form)
        budget -= len(form.split())
        room -= len(form) + 1
    if not chosen:
        return [" ".join(found[0].split()[:words])[: limits.characters]]
    return [chosen[i] for i in sorted(chosen)]


def _forms(sentence: str) -> list[str]:
    """A sentence, and what is left of it without asides and trailing clauses."""
    plain = _LEAD.sub(lambda m: "", sentence)
    plain = plain[:1].upper() + plain[1:]
    forms = [sentence, plain, _ASIDE.sub("", plain)]
    for match in _TAIL.finditer(forms[2]):
        head = forms[2][: match.start()].rstrip(" ,;:")
        if len(head.split()) >= 4:
            forms.append(head + ".")
    return list(dict.fromkeys(forms))


def _facts(text: str) -> set[str]:
    """Content terms, numbers with their dimension, names marked as such."""
    names = re.findall(r"(?<!^)(?<![.!?] )\b[A-ZÀ-Þ][\w'’-]+", text)
    return (
        set(terms(text))
        | {f"#{q.value}{q.dimension}" for q in quantities(text) if not q.spoken}
        | {f"@{name.lower()}" for name in names if name.lower() not in STOP_WORDS}
    )


def _word_values(text: str) -> Counter[str]:
    """What each content term, number and name is worth."""
    counts = Counter(terms(text))
    found: Counter[str] = Counter()
    for fact in _facts(text) | set().union(*(_facts(s) for s in sentences(" ".join(text.split())))):
        if fact.startswith("#"):
            found[fact] = 45
        elif fact.startswith("@"):
            found[fact] = 20
        else:
            found[fact] = 10 + 4 * min(counts[fact] - 1, 4)
    return found


def _centrality(found: Sequence[str], reader: Reader) -> list[float]:
    """Closeness of each sentence to the whole text, in [0, 1]; 0 without embeddings."""
    if not reader.semantic:
        return [0.0] * len(found)
    vectors = reader.embedder.embed(list(found))
    centre = vectors.mean(axis=0)
    return [max(0.0, float(v @ centre)) for v in vectors]
