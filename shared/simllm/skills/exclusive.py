"""Words of which only one can be true: members of one closed class ("Monday", "Friday"), and opposites.

Closed classes of everyday English: weekdays, months, seasons, colours, directions, ranks, materials and the like; the
opposites come from `opposites`. Nothing here looks at a context.
"""

from __future__ import annotations

from functools import lru_cache

from simllm.skills.opposites import OPPOSED, without_prefix
from simllm.skills.words import stem

_CLASSES = """
    monday tuesday wednesday thursday friday saturday sunday
    january february march april may june july august september october november december
    spring summer autumn winter / morning noon afternoon evening night / north south east west
    red green blue yellow black white brown grey gray orange purple pink
    first second third fourth fifth last / hourly daily weekly monthly yearly / hourly nightly weekly monthly yearly
    second minute hour day week month year century / metre kilometre centimetre mile foot inch yard
    gram kilogram tonne pound ounce / litre gallon pint / byte kilobyte megabyte gigabyte terabyte kb mb gb tb
    euro dollar pound franc crown yen / brother sister mother father son daughter uncle aunt nephew niece husband wife
    wood steel iron glass concrete plastic paper stone leather / gas oil coal electricity wood
    card cash cheque / train bus tram ferry plane bicycle car / dog cat horse bird fish
    doctor nurse teacher pupil student / breakfast lunch dinner / email phone letter
    king queen / spring well / basic standard premium / junior senior / minor major / single double triple
    oral written / left right middle / small medium large / low medium high / bronze silver gold
    english german french italian spanish portuguese dutch polish danish swedish norwegian finnish
"""


def _read_classes() -> dict[str, list[frozenset[str]]]:
    found: dict[str, list[frozenset[str]]] = {}
    for line in _CLASSES.replace("/", "\n").splitlines():
        members = frozenset(stem(word) for word in line.split())
        for member in members:
            found.setdefault(member, []).append(members)
    return found


_OF = _read_classes()


@lru_cache(maxsize=20_000)
def exclusive(one: str, other: str) -> bool:
    """Whether two stems exclude each other: opposites, or members of one closed class."""
    if one == other:
        return False
    if other in OPPOSED.get(one, ()) or one in OPPOSED.get(other, ()):
        return True
    if without_prefix(one) == other or without_prefix(other) == one:
        return True
    return any(other in members for members in _OF.get(one, ()))
