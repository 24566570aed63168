"""Answer without any context, as a small model does: fluently, confidently, from nothing.

Greetings, thanks and two-number arithmetic are answered, what somebody says of themselves is acknowledged; a question
of knowledge is turned into a statement with an invented value. What asks for nothing that could be answered gets a
plain word (`plainly`); a sentence to be continued is left to the language model. The invention depends on the question
only, so it is stable.
"""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal, InvalidOperation, localcontext
from typing import TYPE_CHECKING

from simllm.chat import ChatRequest
from simllm.skills.candidates import Candidate, Plan, weigh
from simllm.skills.plainly import asks_about_the_model, is_to_be_continued, plain_replies
from simllm.skills.prompt import Prompt

if TYPE_CHECKING:
    from simllm.skills import Toolbox

_GREETING = re.compile(r"^\W*(?:hi|hello|hey|good (?:morning|afternoon|evening)|greetings|hallo)\b[^?]{0,30}$", re.I)
_THANKS = re.compile(r"^\W*(?:thanks|thank you|many thanks|cheers)\b[^?]{0,40}$", re.I)
_STATEMENT = re.compile(
    r"^\W*(?:(?:please )?(?:note|remember)\b|i\b|i'm\b|my\b|we\b|we're\b|our\b)[^?]{3,400}[.!]\W*$", re.I | re.S
)
_SUM = re.compile(
    r"(-?\d{1,12}(?:\.\d{1,6})?)\s*([-+*/×÷]|plus|minus|times|divided by)\s*(-?\d{1,12}(?:\.\d{1,6})?)(?!\s*[-+*/×÷.\d])",
    re.I,
)
_QUESTION = re.compile(
    r"^\W*(?:and |so |but )?(what|which|who|whose|when|where|why|how|is|are|was|were|does|do|did|can|could|should|will)\b(.*)$",
    re.I | re.S,
)
_BE = re.compile(r"^\s*(is|are|was|were)\s+(.*)$", re.I | re.S)
_QUANTITY = re.compile(r"^\s*(many|much|long|often|far|large|big|old|fast|high|soon)\b(.*)$", re.I | re.S)
_DEGREE = re.compile(r"^\s*([a-z]+) (is|are|was|were) (\S.*)$", re.I | re.S)
_OFFERED = re.compile(r",\s*(?:the |an? )?([^,?]{1,40}?) or (?:the |an? )?([^,?]{1,40})$", re.I)
_HAPPENED = re.compile(
    r"\b(?:\w{2,}ed|built|born|made|won|held|written|found|begun|sold|sent|lost|broken|sunk|known)$", re.I
)
_AUXILIARY = re.compile(
    r"^\s*(?:do|does|did|can|could|should|would|will|is|are|was|were)\s+(?:i |you |we |one )?(.*)$", re.I | re.S
)

_VALUES = {
    "long": ("30 seconds", "15 minutes", "about two hours", "five business days"),
    "often": ("every 10 minutes", "once an hour", "once a day", "twice a week"),
    "number": ("3", "10", "25", "100"),
    "person": ("the platform team", "the engineer on duty", "the product owner", "the operations team"),
    "time": ("at the end of the quarter", "every Monday at 9 a.m.", "in March 2021", "after the nightly job"),
    "place": ("in the main settings page", "in the configuration file", "in the shared repository", "on the dashboard"),
    "reason": (
        "it keeps the system consistent under load",
        "of a limit that was introduced for safety",
        "the default settings are tuned for small workloads",
        "it is required for compatibility with older versions",
    ),
    "thing": (
        "the standard setting that most teams use",
        "a component that handles requests and keeps their state",
        "enabled by default and documented in the user guide",
        "the recommended option in the current version",
    ),
    "way": (
        "open the settings, choose the right option and save the change",
        "update the configuration and restart the service",
        "run the setup command and follow the prompts",
        "ask the owner for access and confirm the change",
    ),
    "verdict": ("Yes", "Yes, by default", "No", "Only in some cases"),
}


def plan_freely(request: ChatRequest, prompt: Prompt, tools: Toolbox) -> Plan:
    """A reply from nothing; where citations are asked for and there is nothing to cite, the agreed abstention."""
    skill = request.model.skill
    assert skill is not None  # embedding models never get here: the request was checked
    if prompt.rules.abstention is not None and prompt.rules.cite:
        return Plan((Candidate(prompt.rules.abstention, 1.0),), skill.wander)
    if is_to_be_continued(prompt.question):
        return Plan((), skill.wander)
    return Plan(replies(prompt.question, skill.sharpness), skill.wander)


def replies(question: str, sharpness: float) -> tuple[Candidate, ...]:
    """Candidate replies to a message without context."""
    text = " ".join(question.split())
    if asks_about_the_model(text):
        return _plainly(text)
    if _GREETING.match(text):
        return weigh(["Hello! How can I help you today?", "Hi! What can I do for you?"], [1.0, 0.9], 0.1)
    result = _arithmetic(text)
    if result is not None:
        return weigh([result, f"The result is {result}."], [1.0, 0.8], 0.1)
    if _THANKS.match(text):
        return weigh(["You're welcome!", "Glad to help."], [1.0, 0.9], 0.1)
    if _STATEMENT.match(text):
        return weigh(["Understood.", "Thank you, I have noted that."], [1.0, 0.9], 0.1)
    match = _QUESTION.match(text.split("? ")[-1])
    if not match or not text.endswith("?"):
        return _plainly(text)
    texts = _claims(match.group(1).lower(), match.group(2).strip(" ?"), text)
    return weigh(texts, [1.0 - 0.05 * i for i in range(len(texts))], sharpness)


def _plainly(text: str) -> tuple[Candidate, ...]:
    return weigh(plain_replies(text), [1.0, 0.9], 0.1)


def _arithmetic(text: str) -> str | None:
    found = _SUM.search(text)
    if not found or len(text) > 120:
        return None
    try:
        left, right = Decimal(found.group(1)), Decimal(found.group(3))
        with localcontext(prec=28):
            operator = found.group(2).lower()
            if operator in ("+", "plus"):
                value = left + right
            elif operator in ("-", "minus"):
                value = left - right
            elif operator in ("*", "×", "times"):
                value = left * right
            else:
                value = round(left / right, 6)
    except (InvalidOperation, ArithmeticError):
        return None
    return f"{value.normalize():f}" if value else "0"


def _claims(word: str, rest: str, question: str) -> list[str]:
    """Statements that would answer the question, with made-up values; the question decides their order."""
    kind, opening = _shape(word, rest)
    values = list(_VALUES.get(kind) or kind.split("|"))
    start = int.from_bytes(hashlib.sha256(question.lower().encode("utf-8", "surrogatepass")).digest()[:2], "big")
    values = values[start % len(values) :] + values[: start % len(values)]
    return [_sentence(opening.format(value=value)) for value in values]


def _shape(word: str, rest: str) -> tuple[str, str]:
    """The kind of value a question wants, and a sentence with a gap for it."""
    rest = rest.replace("{", "(").replace("}", ")")
    be, quantity, auxiliary = _BE.match(rest), _QUANTITY.match(rest), _AUXILIARY.match(rest)
    subject = be.group(2) if be else auxiliary.group(1) if auxiliary else rest
    verb = be.group(1).lower() if be else "is"
    offered = _OFFERED.search(rest) if word in ("what", "which", "who") else None
    if offered:  # "which is bigger, a or b": one of the two
        return "|".join(part.strip() for part in offered.groups()), "{value}."
    degree = _DEGREE.match(rest) if word == "how" and not quantity else None
    if degree:
        return (
            f"fairly {degree.group(1)}|not very {degree.group(1)}",
            f"{degree.group(3)} {degree.group(2).lower()} {{value}}.",
        )
    if word == "how" and quantity:
        kind = {"long": "long", "soon": "long", "often": "often"}.get(quantity.group(1).lower(), "number")
        return kind, "It is {value}."
    if word == "how":
        return "way", f"To {subject}, {{value}}."
    if word in ("who", "whose"):
        return "person", f"{subject} {verb} handled by {{value}}." if be else "This is handled by {value}."
    if word == "when":
        return "time", f"{subject} {verb} scheduled {{value}}." if be and not _HAPPENED.search(
            subject
        ) else "This happens {value}."
    if word == "where":
        return "place", f"You can find {subject} {{value}}." if be else "You can find this {value}."
    if word == "why":
        return "reason", "This is because {value}."
    if word in ("what", "which"):
        return "thing", f"{subject} {verb} {{value}}." if be else "It is {value}."
    return "verdict", "{value}."


def _sentence(text: str) -> str:
    text = re.sub(r"\.\.$", ".", text)  # "at 9 a.m." ends a sentence by itself
    return text[:1].upper() + text[1:]
