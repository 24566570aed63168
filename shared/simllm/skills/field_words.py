"""What the words in a field's name say about the value that it wants: a date, a place, a person, a code, free text.

General vocabulary of schemas; no particular schema is known.
"""

from __future__ import annotations

from simllm.skills.sentence_words import word_set

COMMON = word_set("""
    the a an of to in on at by for from with or and if is are be as it its this that which who how what when e
    g eg such like iso format yyyy mm dd hh value optional required string number integer use given only
""")
GENERAL = word_set("""
    name title id number code key value text amount date time label
""")
SAYS_NOTHING = word_set("""
    id number only no
""")
IDENTITY = word_set("""
    id ids number no code key sku skus isbn iban ref uuid ticket tracking serial identifier slug token
""")
DATE_WORDS = word_set("""
    date day when deadline due birthday dob departure arrival since until
""")
TIME_WORDS = word_set("""
    time slot hour clock
""")
TEXT_WORDS = word_set("""
    text message body content note notes comment query search question keyword keywords term topic summary
    description reason subject details instruction instructions prompt caption memo remark agenda task todo
    feedback problem issue reference
""")
PLACE_WORDS = word_set("""
    city place location town country region state address street station airport venue area destination origin
    room building site office where
""")
PERSON_WORDS = word_set("""
    name person author artist customer patient student teacher user recipient owner assignee guest contact
    employee composer performer who by reporter attendee participants attendees doctor passenger member sender
""")
PARTY_WORDS = word_set("""
    vendor seller supplier merchant shop store company organisation organization firm business manufacturer producer issuer
    employer customer buyer client payer payee consignee sender recipient
""")
ADDRESSEES = word_set("""
    to cc bcc from recipient recipients receiver addressee sender
""")
MONEY_WORDS = word_set("""
    price amount cost total budget fee fare sum payment salary balance subtotal tax deposit
""")
# prepositions that lead to the value of such a field
LEADS: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (frozenset(["origin", "source", "from", "start", "sender", "departure", "begin", "starting"]), frozenset(["from", "between", "since", "starting"])),
    (frozenset(["destination", "target", "to", "end", "recipient", "receiver", "arrival", "until", "new"]), frozenset(["to", "into", "in", "until", "till", "through", "and"])),
    (ADDRESSEES - {"from", "sender"}, frozenset(["tell", "let", "notify", "message", "text", "inform", "remind", "ask", "email", "ping", "write", "mail"])),
    (frozenset(["after", "since", "earliest"]), frozenset(["after", "from", "since"])),
    (frozenset(["before", "until", "latest", "deadline", "due"]), frozenset(["before", "by", "until"])),
    (frozenset(["author", "artist", "composer", "performer", "by", "director"]), frozenset(("by",))),
    (PLACE_WORDS - {"destination", "origin"}, frozenset(["in", "at", "near", "around", "for"])),
    (frozenset(["employer", "company", "organisation", "organization", "organizer", "school", "clinic", "host"]), frozenset(["at", "with", "by"])),
    (frozenset(["venue", "stadium", "hall"]), frozenset(["at", "in"])),
    (frozenset(["profession", "occupation", "job", "role", "position"]), frozenset(["as", "for"])),
    (frozenset(["seller", "vendor", "supplier", "sender", "carrier", "courier", "merchant", "issuer", "manufacturer"]), frozenset(["by", "from", "with", "via"])),
    (frozenset(["customer", "buyer", "client", "consignee", "payer"]), frozenset(["to", "for"])),
    (frozenset(["purpose", "reason", "goal"]), frozenset(["for", "to", "because"])),
    (frozenset(["name", "title", "label"]), frozenset(["called", "named", "titled"])),
    (frozenset(["max", "maximum", "upper", "highest", "most", "limit", "ceiling"]), frozenset(["under", "below", "most", "up", "max", "maximum", "within", "than", "to", "and", "until"])),
    (frozenset(["min", "minimum", "lower", "lowest", "least", "floor"]), frozenset(["over", "above", "least", "min", "minimum", "from", "than", "between"])),
    (TEXT_WORDS, frozenset(["about", "saying", "that", "regarding", "on"])),
    (frozenset(["date", "day", "when"]), frozenset(["on", "for"])),
    (frozenset(["time", "slot", "hour"]), frozenset(["at", "for"])),
)  # fmt: skip
