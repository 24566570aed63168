"""Words that hold a sentence together: prepositions, articles, particles, auxiliaries, and words that open a request.

Closed classes and common verbs of English; nothing about any domain. Used to cut a text into names and phrases.
"""

from __future__ import annotations

import re


def word_set(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(re.findall(r"\S+", text))


PREPOSITIONS = word_set("""
    in at near from to for by with about on of into onto called named titled via using between within around
    under over after before until till since through against toward towards regarding saying per as during
    than that because starting ending
""")
STARTERS = word_set("""
    please can could would will what whats which who when where how why is are do does did i my we our let
    lets the a an this that there it its if and or but also then next now hi hello hey dear thanks thank
    regards best yes no not give get show find book search look check list tell send set add create make play
    start stop turn order buy cancel update delete remove schedule remind convert translate transfer pay
    change move open close calculate compute file log report fetch pull put switch reserve rent run restart
    deploy scale for from to in on at by with need want id i'd i'm i've what's who's where's how's please,
    mark assign register enroll enrol renew return track email message text call write post draft summarize
    summarise compare estimate increase decrease lower raise dim lock unlock enable disable invite share
    upload download issue refund record note save has have was were any some all first second after before
    since until plan suggest recommend generate compose rename archive approve reject pause resume skip queue
    notify inform ping ask subscribe customer invoice date total subject time name amount status as he she they you your his her
    their both each
""")
ARTICLES = word_set("""
    the a an my our your their his her its this that these those some any me us please all new
""")
PARTICLES = word_set("""
    off out up down away back inside outside behind across along without plus minus times
""")
BORDERS = word_set("""
    and or but if is are i you it then so please has have had was were got get will be been need needs want
    wants can did does do like d cost costs must should would could may takes took
""")
EMPTY = word_set("""
    minute hour day week month year minutes hours days weeks months years maybe today now moment times time
    percent
""")
