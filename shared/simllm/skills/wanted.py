"""What kind of thing a question wants, and whether a text has one that the question does not have itself.

When, how many, who, why, how, where, whether: told from the question word; the kinds are told by numbers, dates, names
and a few closed lists of words. After the answer types of Li and Roth 2002, far coarser.
"""

from __future__ import annotations

import re

from simllm.skills.quantities import quantities, same_value

_KINDS = (
    ("when", r"\b(?:when|what time|how soon|since when|what date|which (?:day|year|month)|opening hours)\b"),
    (
        "amount",
        r"\bhow (?:many|much|long|large|big|high|far|old|often|fast|heavy|tall|wide|deep|expensive|late|soon)\b|\bcosts?\b|\bprice\b|"
        r"\b(?:what|which) (?:port|size|percentage|number|limit|age|temperature)\b|\bmaximum\b|\bminimum\b",
    ),
    ("who", r"\bwho(?:m|se)?\b|\b(?:which|what) (?:team|person|company|architect|author|department)\b"),
    ("why", r"\bwhy\b|\bcauses?\b|\breasons?\b"),
    ("how", r"\bhow (?:do|can|should|to|does one|would)\b|\bwhat (?:should|must|can) (?:i|we|you|one)\b"),
    ("where", r"\bwhere\b"),
    ("whether", r"^\W*(?:can|may|do|does|did|is|are|was|were|am|must|will|should|has|have)\b"),
)
_ASKS = tuple((kind, re.compile(pattern, re.I)) for kind, pattern in _KINDS)
_TIME = re.compile(
    r"\b(?:(?:mon|tues|wednes|thurs|fri|satur|sun)days?|january|february|march|april|june|july|august|september|october|"
    r"november|december|in may|spring|summer|autumn|winter|mornings?|evenings?|noon|midnight|weekdays?|weekends?|"
    r"(?:1[5-9]|20)\d\d|today|tomorrow|yesterday|after|before|until|as soon as|daily|hours)\b",
    re.I,
)
_HAS = {
    "why": r"\b(?:because|since|due|owing|caus\w+|reasons?|makes?|made|means?|lacks?|lacking|led|leads|results?|therefore|so that|if|whoever|when|"
    r"exceed\w*|too|had to|delay\w*|hence|stems?|comes? from)\b",
    "how": r"^\W*(?!the\b|an?\b|it\b|this\b|that\b|in\b|at\b|on\b|there\b|most\b)[a-z]+ (?:the|an?|it|them|your|to|each|every|half|in|on|up|off|\w+ly)\b|"
    r"\b(?:you|your|by \w+ing|run|press|click|set|use|fill|put|wash|keep|must be|should be|has to|have to|upon request)\b|`|\bsuits?\b",
    "where": r"\b(?:in|at|on|near|under|behind|opposite|street|square|lane|office|room|floor|next to|below|above|beside)\b",
    "whether": r"\b(?:can|cannot|may|must|allowed|permitted|forbidden|possible|lets?|not|no|without|only|needs?|required|suits?|suitable|free|"
    r"safe|entitled|covers?|excluded|included|poison\w*|never|always|manages?|welcome|available)\b|\bn['’]t\b",
}
_WITH = {kind: re.compile(pattern, re.I | re.M) for kind, pattern in _HAS.items()}
_GROUP = re.compile(
    r"\b(?:team|manager|owner|office|department|group|engineer|director|doctor|teacher|company|architect|anybody|anyone|everybody|"
    r"nobody|members?|staff|adults|visitors|residents|those|whoever)\b",
    re.I,
)
_CAPITAL = re.compile(r"\b[A-ZÀ-Þ][\w'’-]+")


def provides(question: str, text: str) -> float:
    """1 when the text has a thing of the kind that the question wants, 0 when not, 0.5 when the kind is not known."""
    kind = next((kind for kind, pattern in _ASKS if pattern.search(question)), "")
    if not kind:
        return 0.5
    asked = quantities(question)
    new = [q for q in quantities(text) if not any(same_value(q, other) for other in asked)]
    if kind == "amount":
        return float(bool(new))
    if kind == "when":
        return float(any(q.dimension in ("clock", "date") for q in new) or bool(_TIME.search(_without(text, question))))
    if kind == "who":
        names = [
            m.group() for m in _CAPITAL.finditer(text) if m.start() and text[: m.start()].rstrip()[-1:] not in ".!?"
        ]
        known = set(re.findall(r"\w+", question.lower()))
        return float(any(name.lower() not in known for name in names) or bool(_GROUP.search(_without(text, question))))
    return float(bool(_WITH[kind].search(_without(text, question) if kind in ("why", "where") else text)))


def _without(text: str, question: str) -> str:
    """The text without the words of the question."""
    known = {word for word in re.findall(r"\w+", question.lower()) if len(word) > 3}
    return re.sub(r"\w+", lambda m: "" if m.group().lower() in known else m.group(), text)
