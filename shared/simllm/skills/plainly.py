"""Say plainly what answers here: a simulated model, for messages that bring no context and ask for no knowledge.

Questions about the model itself, greetings that go on, emoji, pasted code, orders to write something from nothing. What
it says of itself is true, and it invents nothing. Sentences that ask to be continued are left to the language model.
"""

from __future__ import annotations

import re

NATURE = (
    "I am a simulated model of this course, not a neural language model, and I know only what stands in the prompt."
)
ABLE = (
    "Give me a context and a question, and I answer from it. I can also extract values into JSON, call tools, "
    "judge answers, rewrite questions and summarise texts."
)
_ABOUT_ME = re.compile(
    r"\b(?:who|what) (?:exactly )?(?:are|r) you\b|\b(?:what(?:'s| is)|tell me) your name\b|\bwhat (?:else )?(?:can|do|could) you (?:do|know|offer)\b|"
    r"\bwhich (?:ai |language )?model\b[^.?!]{0,20}\b(?:you|this)\b|\bwhat model\b|\b(?:introduce|describe|tell me about) yourself\b|\babout yourself\b|"
    r"\bwho (?:made|built|created|trained|wrote|programmed) you\b|\bhow (?:can|could|do) you help\b|\bhow are you\b|\bhow do you (?:do|work)\b|"
    r"\bare you (?:an?|the|real|human|alive|there|gpt\S*|chatgpt\S*|claude\S*|gemini\S*|llama\S*|sim\S*|conscious|sentient|ok(?:ay)?)\b|^\W*help(?: me)?\W*$",
    re.I,
)
_ORDER = re.compile(
    r"^\W*(?:please |can you |could you |would you |now )*(?:write|give|make|create|draft|compose|generate|list|tell|show|explain|describe|"
    r"summari[sz]e|suggest|propose|name|outline|sing|translate|fix|debug|review|improve|run|execute)\b",
    re.I,
)
_CONTINUED = re.compile(r"^\W*(?:please |now )*(?:finish|complete|continue|go on with)\b", re.I)
_UNFINISHED = re.compile(
    r"(?:the|an?|this|these|those|every|each|some|most|in|on|at|once|there|it|if|when)(?: [a-z][a-z'’-]*,?){2,}", re.I
)
LONGEST_CHAT = 200  # characters of a message that is asked about the model itself


def asks_about_the_model(text: str) -> bool:
    """Whether a message asks who or what answers here."""
    return len(text) <= LONGEST_CHAT and _ABOUT_ME.search(text) is not None


def is_to_be_continued(text: str) -> bool:
    """Whether a message wants its own text continued, or breaks off in the middle of a sentence."""
    return _CONTINUED.match(text) is not None or _UNFINISHED.fullmatch(text.strip()) is not None


def plain_replies(text: str) -> tuple[str, str]:
    """What to say where there is nothing to answer from, in two wordings."""
    if asks_about_the_model(text):
        return f"{NATURE} {ABLE}", f"{ABLE} {NATURE}"
    if _ORDER.match(text):
        lead = "I cannot do that from nothing."
    elif text.rstrip().endswith("?"):
        lead = "Nothing in this message tells me that."
    else:
        lead = "I found no question and no context in this message."
    return f"{lead} {NATURE} {ABLE}", f"{lead} {ABLE}"
