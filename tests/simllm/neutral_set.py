"""A small neutral question set, to measure how well the simulated models read a context.

Four made-up everyday subjects, five passages each; questions that share words with their answer, questions that
paraphrase it, and questions that the passages do not answer. Written for these tests (CC BY 4.0, as the course).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One question; `facts` must all appear in a correct answer (case-insensitive), empty means unanswerable."""

    subject: str
    question: str
    facts: tuple[str, ...]
    kind: str
    source: str = ""


PASSAGES: dict[str, dict[str, str]] = {
    "bakery": {
        "ovens": "The deck oven runs at 240 °C and needs 45 minutes to heat through. The rack oven reaches its 190 °C in a "
        "quarter of an hour. Never open the steam valve while the door alarm is on.",
        "dough": "Rye dough rests for 18 hours in the cold room before it is shaped. Wheat rolls only need ninety minutes. "
        "Salt goes in last because it slows the yeast down.",
        "suppliers": "Flour arrives from the Lindholm mill every Tuesday. Butter comes from the dairy cooperative; call "
        "Mrs Okafor when a delivery is late.",
        "hygiene": "| surface | cleaner | interval |\n|---|---|---|\n| work bench | soap solution | after every batch |\n"
        "| floor drain | chlorine foam | weekly |\n| proofing box | vinegar | monthly |",
        "till": "Returns are refunded in cash up to 20 euros. Larger amounts go back to the customer's card and need the "
        "manager's signature.",
    },
    "library": {
        "loans": "Books may be kept for 28 days and renewed twice. Films are lent for one week and cannot be renewed.",
        "fines": "A late book costs 30 cents a day, with a ceiling of 12 euros. Children under 14 pay nothing.",
        "rooms": "The reading hall holds 64 people. Group rooms are reserved at the front desk, at most two hours a day. "
        "Food is not allowed anywhere except in the winter garden.",
        "printer": "To print from your own machine, send the file by mail to the kiosk:\n\n```\nlp -d kiosk -o sides=two-sided "
        "report.pdf   # prints on both sides\ncancel -a kiosk   # removes everything that waits\n```",
        "history": "The building was a customs house until 1931. An architect named Ilse Brandt turned it into a library "
        "after the great flood, since the old one had lost its roof.",
    },
    "greenhouse": {
        "watering": "Tomatoes get 2.5 litres per plant and day, in two portions. Cacti are watered every third week in "
        "summer and not at all in winter.",
        "alarms": "Alarm G-17 means that the vent motor is blocked. Alarm G-71 reports an empty nutrient tank. Silence an "
        "alarm with the yellow key.",
        "climate": "At night the heating keeps 16 °C. Shade cloths close by themselves once sunlight passes 700 W/m², "
        "because leaves would burn.",
        "pests": "Whitefly is fought with parasitic wasps, released every ten days. Spraying is a last resort and needs "
        "the head gardener's permission.",
        "visitors": "School classes may visit on Thursdays between 9 and 11. Each group is limited to 25 pupils.",
    },
    "telescope": {
        "mirror": "The primary mirror measures 1.8 metres and is re-coated with aluminium every two years. Dust is blown "
        "off with carbon dioxide snow each month.",
        "camera": "The detector is cooled to minus 110 degrees with liquid nitrogen. A full tank lasts 30 hours.",
        "dome": "The dome shuts automatically when wind exceeds 65 km/h or humidity rises above 90 percent. If the motor "
        "fails, use the hand crank behind panel C.",
        "schedule": "Observing time is granted by a committee that meets in March and September. Proposals are due four "
        "weeks earlier.",
        "safety": "Nobody works on the platform alone. The duty astronomer carries the radio and wakes the technician in "
        "an emergency.",
    },
}

_ROWS = """
bakery|overlap|What temperature does the deck oven run at?|240|ovens
bakery|overlap|How long does rye dough rest in the cold room?|18 hours|dough
bakery|overlap|Which cleaner is used on the floor drain?|chlorine|hygiene
bakery|overlap|When does flour arrive from the mill?|Tuesday|suppliers
bakery|paraphrase|Why should I add the salt at the end?|yeast|dough
bakery|paraphrase|Whom do I phone if the dairy products have not come?|Okafor|suppliers
bakery|paraphrase|Who has to approve giving back a big sum?|manager|till
bakery|paraphrase|How often is the proving cabinet wiped?|monthly|hygiene
bakery|unanswerable|What does a sourdough loaf cost?||
bakery|unanswerable|How many apprentices are hired each year?||
library|overlap|How many people does the reading hall hold?|64|rooms
library|overlap|How many days may books be kept?|28|loans
library|overlap|What was the building until 1931?|customs house|history
library|paraphrase|What is the most I can be charged for bringing something back too late?|12 euros|fines
library|paraphrase|Where am I permitted to eat?|winter garden|rooms
library|paraphrase|Can I extend a DVD?|cannot be renewed|loans
library|paraphrase|How do I clear all pending print jobs?|cancel -a|printer
library|paraphrase|Who redesigned the house?|Brandt|history
library|unanswerable|Is there a car park for visitors with disabilities?||
library|unanswerable|What is the wifi password?||
greenhouse|overlap|What does alarm G-71 report?|nutrient tank|alarms
greenhouse|overlap|What does alarm G-17 mean?|vent motor|alarms
greenhouse|overlap|How many litres do tomatoes get per plant?|2.5|watering
greenhouse|overlap|On which day may school classes visit?|Thursday|visitors
greenhouse|paraphrase|How warm is it kept after dark?|16|climate
greenhouse|paraphrase|What do we use against insects before chemicals?|wasps|pests
greenhouse|paraphrase|How big can a party of students be?|25|visitors
greenhouse|paraphrase|Which tool stops the siren?|yellow key|alarms
greenhouse|unanswerable|Which fertiliser brand is mixed into the soil?||
greenhouse|unanswerable|What does alarm G-44 mean?||
telescope|overlap|How large is the primary mirror?|1.8|mirror
telescope|overlap|Above which wind does the dome shut automatically?|65|dome
telescope|overlap|How long does a full tank of liquid nitrogen last?|30 hours|camera
telescope|paraphrase|In which months are applications decided?|March|schedule
telescope|paraphrase|How do I close the roof when its drive is broken?|hand crank|dome
telescope|paraphrase|Am I allowed to be up there by myself?|alone|safety
telescope|paraphrase|How is the glass cleaned?|carbon dioxide|mirror
telescope|unanswerable|Which galaxy was discovered here first?||
telescope|unanswerable|How much does one night of observing cost?||
"""


def _case(row: str) -> Case:
    subject, kind, question, facts, source = row.split("|")
    return Case(subject, question, tuple(fact for fact in facts.split(";") if fact), kind, source)


CASES: tuple[Case, ...] = tuple(_case(row) for row in _ROWS.strip().splitlines())


def prompt(case: Case, *, abstain: bool = True, cite: bool = True) -> str:
    """The prompt of one case: rules, labelled passages, question."""
    rules = ["Answer the question using only the context."]
    if cite:
        rules.append("Cite the source of every statement as [doc-id].")
    if abstain:
        rules.append('If the context does not contain the answer, reply "I don\'t know".')
    context = "\n\n".join(f"[{name}] {text}" for name, text in PASSAGES[case.subject].items())
    return f"{' '.join(rules)}\n\nContext:\n{context}\n\nQuestion: {case.question}\nAnswer:"


def is_correct(case: Case, reply: str) -> bool:
    """All facts said, or the abstention for an unanswerable question."""
    if not case.facts:
        return "don't know" in reply.lower()
    return all(fact.lower() in reply.lower() for fact in case.facts)
