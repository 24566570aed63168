"""What a name itself says about its field: "Hotel Aurora" bears the word "hotel", an inn is no guest.

By the name's own words only: a field's word inside it, or one of the general words by which houses that take people in
are named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from simllm.skills.field_words import PERSON_WORDS, PLACE_WORDS
from simllm.skills.fields import Field
from simllm.skills.mention import Mention
from simllm.skills.sentence_words import word_set
from simllm.skills.words import stem

BEARS = 0.45  # for a name that has the field's own word in it
FOREIGN = 0.4  # against a field, for a name that has another field's word, or a person's field for a house
_HOUSES = frozenset(
    map(
        stem,
        word_set("""
    hotel inn lodge hostel motel resort palace guesthouse restaurant cafe bistro trattoria pizzeria tavern brasserie clinic
    hospital pharmacy museum theatre theater cinema gallery stadium arena hall library school university college academy
    airport station harbour harbor bank church chapel castle hut spa gym
"""),
    )
)
_HOSTS = PLACE_WORDS | word_set("""
    hotel restaurant clinic hospital school museum theatre theater stadium hall library university bank property lodging
    accommodation inn shop store company organisation organization employer host business pharmacy gym club cinema
""")


def bearing(target: Field, mention: Mention, targets: Sequence[Field]) -> float:
    """What is added to the score of a name for a field."""
    if mention.kind != "name" or target.kind != "string" or " " not in mention.text:
        return 0.0
    words = {stem(word) for word in re.findall(r"[^\W\d_]+", mention.text.lower())}
    rivals = [t for t in targets if t.path != target.path and t.kind == "string" and t.wants == "open"]
    if words & _particular(target):
        return BEARS
    if any(words & _particular(rival) for rival in rivals):
        return -FOREIGN
    if words & _HOUSES and any(rival.own & _HOSTS for rival in rivals) and target.own & PERSON_WORDS - _HOSTS:
        return -FOREIGN
    if words & _HOUSES and target.own & _HOSTS and any(rival.own & PERSON_WORDS - _HOSTS for rival in rivals):
        return BEARS
    return 0.0


def _particular(field: Field) -> frozenset[str]:
    """Stems of the words that the field is called by, without those that any person or thing may be."""
    return frozenset(stem(word) for word in field.own - {"name", "title", "id", "person", "where", "by", "who"})
