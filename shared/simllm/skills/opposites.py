"""Words that cannot both be true of one statement: negation, antonyms, directions, quantifiers, obligations.

A short list of common English opposites (closed-class words first), plus the prefixes un-, in-, non-, dis-. A reader
uses them to see that two sentences with the same words say different things.
"""

from __future__ import annotations

import re

from simllm.skills.words import stem

_NEGATION = re.compile(
    r"\b(?:not|no|never|without|cannot|neither|nor|none|nobody|nothing|nowhere|hardly|unable|fail(?:s|ed)? to|lacks?|refus\w+|rather than|instead of|no longer|stopp?(?:ed|s)?|ceased?|free of)\b|n['’]t\b",
    re.I,
)
_NOT_NEGATION = re.compile(
    r"\b(?:not only|no\.? ?\d|not (?:later|earlier|more|less|fewer) than|no (?:later|earlier|more|less|fewer) than|no matter|not just)\b",
    re.I,
)
_PAIRS = """
    increase rise rose risen grow grew grown higher raise up gain more / decrease fall fell fallen drop lower reduce shrink down decline less fewer
    before prior / after following | until / from | above over exceed / below under | first earliest / last latest
    earlier sooner / later | open / closed shut close | start begin launch opened / end finish stop closed
    allow permit may can welcome / forbid forbidden prohibit prohibited ban banned disallow refuse
    may might could possibly perhaps consider plan / will shall | accept approve pass / reject refuse decline deny fail
    require must mandatory compulsory obligatory need / optional voluntary recommended | free / charge paid cost fee
    always every all each everyone only / sometimes some several occasionally most many usually
    never none / always sometimes often every | include with / exclude except without
    enable on activate enabled / disable off deactivate disabled | win won beat / lose lost | buy purchase / sell sold
    minimum least / maximum most | inside indoor indoors within / outside outdoor outdoors | public / private
    hot warm / cold cool | early / late | morning / evening afternoon | day / night | left / right | north / south | east / west
    summer / winter | weekday weekdays / weekend weekends | single one-way / return round | internal / external
    success succeed succeeded / fail failure failed | safe / dangerous unsafe | cheap cheaper / expensive dearer
    fast faster quick / slow slower | strong stronger / weak weaker | long longer / short shorter | large larger big bigger / small smaller
    temporary temporarily / permanent permanently | automatic automatically / manual manually | add added / remove removed delete
    same / different | true / false | present / absent | male / female | old older / new newer young younger | best / worst
    improve improved better / worsen worsened worse | arrive arrival / depart departure leave | import / export | lend / borrow
    read / write | monthly / yearly annual annually daily weekly hourly | vertical / horizontal | wet / dry | full / empty
    keep kept stay stays store stored save saved preserve / delete deleted lose lost erase erased discard discarded throw thrown wipe
    add adds support supports introduce introduces / drop drops dropped remove removes abandon | most / least all none every
    agree agreed favour support supported / oppose opposed object against | with / without | cause caused / prevent prevented
    more better / less worse | larger longer higher taller / smaller shorter lower | raise raises / lower lowers save saves cut
    built-in fixed / removable detachable portable | beginning start / end | import imported / export exported
    top / bottom | front / back rear | empty / full | alone / together | ill sick / healthy well | guilty / innocent
    often frequently regularly always / rarely seldom never hardly | quiet / loud noisy | deep / shallow | wide / narrow
    heavy / light | thick / thin | dark / bright light | alive living / dead | married / single divorced | rich / poor
    easy simple / difficult hard complex | clean / dirty | soft / hard | visible / hidden | domestic / foreign
    entrance entry enter / exit leave | teacher / pupil student | buyer customer / seller | landlord owner / tenant
    departure / arrival | profit / loss | victory / defeat | question / answer | ancient old / modern new
    sweet / sour bitter | raw / cooked boiled | fresh / stale | sunrise / sunset | ascend climb / descend
    encrypt encrypted / decrypt decrypted plain | lock locked / unlock unlocked | attach attached / detach detached
    online / offline | recent recently / former formerly | increase increases / decrease decreases reduce reduces reduced
    halve halved / double doubled | accelerate / slow | expand / shrink contract | freeze frozen / thaw melt
    postpone postponed delay delayed late later / ahead earlier early sooner | commute / reject
    upper / lower | majority / minority | support / oppose | correct / wrong incorrect | both / neither | either / both | ahead / behind
"""


def _table() -> dict[str, set[str]]:
    opposed: dict[str, set[str]] = {}
    for pair in re.split(r"\||\n", _PAIRS):
        if "/" in pair:
            left, right = ({stem(word) for word in side.split()} for side in pair.split("/"))
            for word in left:
                opposed.setdefault(word, set()).update(right - left)
            for word in right:
                opposed.setdefault(word, set()).update(left - right)
    return opposed


OPPOSED = _table()
CONDITION = re.compile(r"\b(?:only (?:if|when|with|for|after|on|in|by)|unless|provided|except|if)\b", re.I)
_PREFIX = re.compile(r"^(?:un|in|im|ir|il|non|dis|mis)(?=\w{4})")


def unconditional(claim: str, text: str) -> bool:
    """Whether a claim leaves out the condition under which a text says it."""
    return bool(
        re.search(r"\bonly (?:if|when|with|after)\b|\bunless\b|\bprovided\b", text, re.I)
    ) and not CONDITION.search(claim)


def negations(text: str) -> int:
    """How many negations a text has."""
    return len(_NEGATION.findall(_NOT_NEGATION.sub(" ", text)))


def _stems(text: str) -> set[str]:
    return {stem(word) for word in re.findall(r"[a-z]+(?:-[a-z]+)?", text.lower())}


def opposed_words(one: str, other: str) -> list[tuple[str, str]]:
    """Pairs (word only in one, its opposite only in other)."""
    a, b = _stems(one), _stems(other)
    found = [(x, y) for x in sorted(a - b) for y in sorted((OPPOSED.get(x, set()) & b) - a)]
    for x, y in ((x, y) for x in sorted(a - b) for y in sorted(b - a)):
        if without_prefix(x) == y or without_prefix(y) == x:
            found.append((x, y))
    return found


def without_prefix(stemmed: str) -> str:
    """A word without un-, in-, non-, dis- ..., the same word when it has none."""
    return _PREFIX.sub("", stemmed)
