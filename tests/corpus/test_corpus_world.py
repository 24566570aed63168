"""The documents agree with `world.yaml`: names exist, and numbers have the value that the world gives them.

How numbers are checked. A configuration table (columns `Key`/`Setting` and `Default`) must hold default and limits. An
assignment (`key = value`) must lie within the limits. Any other line of prose that names a key and holds numbers must
state the key's value, in the key's own unit or a larger one; the few lines that say something else are listed. Facts
that belong to no key stand in the world's `facts`, with the words that state them. All values are those of the
document's date: superseded documents are held to the defaults of their time (`was`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from coursekit.corpus import Corpus, Document

CODE = re.compile(r"HBL-\d{4}")
ENDPOINT = re.compile(r"\b(?:GET|POST|PUT|PATCH|DELETE|HEAD) /v\d+/[\w./{}~%-]+")
ADR = re.compile(r"\bADR[- ]?(\d{1,4})\b")
DASHBOARD = re.compile(r"[Dd]ashboard [\"“*_]+([^\"”*_\n]+)[\"”*_]|[\"“*_]([A-Z][^\"“”*_\n]*)[\"”*_]+ dashboard\b")
LARGER_UNITS = {"ms": (1, 1000), "s": (1, 60, 3600), "min": (1, 60), "h": (1, 24), "d": (1,)}
# lines that name a key and give another number on purpose
OTHER_NUMBERS = {
    ("postmortem-2026-02-11-eta-drift", "wayfinder.eta.cell_resolution"),  # the override that caused the incident
    ("wayfinder-eta-faq", "wayfinder.eta.cache_ttl_s"),  # a split fact: the number is for another key
}


@pytest.fixture(scope="module")
def service_names(corpus: Corpus) -> str:
    """All services as one regular expression."""
    return "|".join(corpus.world["services"])


def number(text: str) -> float | None:
    """The number that a table cell or an assignment holds, or None."""
    match = re.fullmatch(r"-?[\d.,]+", text.strip())
    return float(text.strip().replace(",", "")) if match else None


def value_at(setting: dict[str, Any], document: Document) -> Any:
    """The default that held when the document was last updated."""
    for earlier in setting.get("was", ()):
        if document.updated <= earlier["until"]:
            return earlier["value"]
    return setting["value"]


def accepted(key: str, value: Any) -> set[str]:
    """The ways to write a default: as it is, with separators, or in a larger unit that divides it."""
    if not isinstance(value, int) or isinstance(value, bool):
        return {str(value).lower()}
    factors = LARGER_UNITS.get(key.rsplit("_", 1)[-1], (1,))
    whole = {value // factor for factor in factors if value % factor == 0}
    return {str(n) for n in whole} | {f"{n:,}" for n in whole}


def tables(document: Document) -> Iterator[tuple[list[str], list[str]]]:
    """Each table row of a body, with its table's header."""
    header: list[str] = []
    for line in document.text.splitlines():
        if not line.startswith("|"):
            header = []
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not header:
            header = cells
        elif not set("".join(cells)) <= set("-: "):
            yield header, cells


def test_every_error_code_exists_and_is_explained_where_the_world_says(corpus: Corpus) -> None:
    known = corpus.world["errors"]
    texts = [document.text for document in corpus.documents] + [question.text for question in corpus.golden]
    assert set(CODE.findall(" ".join(texts))) <= set(known)
    for code, error in known.items():
        assert code in corpus.document(error["explained_in"]).text, code
        assert error["service"] in corpus.world["services"]


def test_identifiers_appear_in_several_documents_and_are_explained_in_one(corpus: Corpus) -> None:
    spread = [sum(code in document.text for document in corpus.documents) for code in corpus.world["errors"]]
    assert sum(count >= 2 for count in spread) >= 8


def test_every_configuration_key_exists(corpus: Corpus, service_names: str) -> None:
    pattern = re.compile(rf"(?<![.\w])(?:{service_names})(?:\.[a-z_]+){{2,}}\b")
    for document in corpus.documents:
        assert set(pattern.findall(document.text)) <= set(corpus.world["config"]), document.id


def test_every_port_is_the_services_own(corpus: Corpus, service_names: str) -> None:
    found = 0
    for document in corpus.documents:
        for name, port in re.findall(rf"\b({service_names})(?:\.internal)?:(\d{{4}})\b", document.text):
            assert int(port) == corpus.world["services"][name]["port"], (document.id, name)
            found += 1
    assert found >= 5


def test_every_queue_belongs_to_a_service(corpus: Corpus) -> None:
    for document in corpus.documents:
        for queue in re.findall(r"\bq\.[a-z]+\.[a-z]+", document.text):
            own = corpus.world["services"][queue.split(".")[1]]["queue"]
            assert queue in (own, own.rsplit(".", 1)[0] + ".parked"), (document.id, queue)


def test_every_incident_exists_and_its_postmortem_carries_its_date(corpus: Corpus) -> None:
    for document in corpus.documents:
        named = re.findall(r"INC-\d{4}", document.title + document.text)
        assert set(named) <= set(corpus.world["incidents"]), document.id
        if document.kind == "postmortem":
            incident = corpus.world["incidents"][named[0]]
            assert document.id.startswith(f"postmortem-{incident['date']}")
            assert document.service == incident["service"]


def test_every_channel_belongs_to_a_team(corpus: Corpus) -> None:
    channels = {team["channel"] for team in corpus.world["teams"].values()}
    for document in corpus.documents:
        assert set(re.findall(r"#[a-z]+-[a-z]+", document.text)) <= channels, document.id


def test_a_service_page_is_owned_by_the_services_team(corpus: Corpus) -> None:
    for document in corpus.documents:
        if document.service != "platform" and document.kind != "postmortem":
            assert document.owner == corpus.world["services"][document.service]["owner"], document.id


def test_services_depend_on_services_and_share_no_port(corpus: Corpus) -> None:
    services = corpus.world["services"]
    assert len(services) >= 14
    assert len({service["port"] for service in services.values()}) == len(services)
    assert all(set(service["depends_on"]) <= set(services) for service in services.values())


def test_configuration_tables_hold_default_and_limits(corpus: Corpus) -> None:
    checked = 0
    for document in corpus.documents:
        for header, cells in tables(document):
            key, row = cells[0].strip("`"), dict(zip(header, cells, strict=True))
            if key not in corpus.world["config"] or "Default" not in row:
                continue
            setting = corpus.world["config"][key]
            if number(row["Default"]) is None:
                assert row["Default"].strip("`") in accepted(key, value_at(setting, document)), (document.id, key)
                continue
            assert number(row["Default"]) == value_at(setting, document), (document.id, key)
            limits = next((row[name] for name in ("Range", "Accepted range") if name in row), None)
            low, high = limits.split(" \N{EN DASH} ") if limits else (row.get("Min", ""), row.get("Max", ""))
            for side, stated in (("min", number(low)), ("max", number(high))):
                assert stated in (None, setting[side]), (document.id, key, side)
            checked += 1
    assert checked >= 15


def test_assigned_values_lie_within_the_limits(corpus: Corpus) -> None:
    checked = 0
    for document in corpus.documents:
        for key, value in re.findall(r"([a-z]+(?:\.[a-z_]+)+)`? ?= ?(\d+)", document.text):
            if key.split(".")[0] not in corpus.world["services"]:
                continue
            setting = corpus.world["config"][key]
            assert setting["min"] <= int(value) <= setting["max"], (document.id, key, value)
            checked += 1
    assert checked >= 3


def test_prose_that_gives_numbers_about_a_key_gives_its_value(corpus: Corpus) -> None:
    keys = corpus.world["config"]
    for document in corpus.documents:
        for line in document.text.splitlines():
            named = [key for key in re.findall(r"`([a-z._]+)`", line) if key in keys]
            rest = CODE.sub("", re.sub(r"`[^`]*`|^\d+\. ", "", line))
            numbers = re.findall(r"\d[\d,]*", rest)
            if line.startswith("|") or not named or not numbers:
                continue
            for key in named:
                if (document.id, key) in OTHER_NUMBERS:
                    continue
                value = value_at(keys[key], document)
                stated = set(numbers) if not isinstance(value, bool) else set(re.findall(r"`(\w+)`", line))
                assert accepted(key, value) & stated, (document.id, key, line)


def test_facts_are_stated_in_the_words_that_the_world_records(corpus: Corpus) -> None:
    for name, fact in corpus.world["facts"].items():
        for document_id, stated in fact["stated"].items():
            assert stated in " ".join(corpus.document(document_id).text.split()), (name, document_id)
            value = fact["value"]
            written = {str(value), f"{value:,}"} if isinstance(value, (int, float)) else {value}
            assert any(form in stated for form in written), name


def test_the_gateways_tier_table_is_the_worlds(corpus: Corpus) -> None:
    rows = {cells[0]: cells for _, cells in tables(corpus.document("api-gangway-rate-limits"))}
    for tier, limits in corpus.world["tiers"].items():
        assert number(rows[tier][1]) == limits["requests_per_minute"]
    for tenant in corpus.world["tenants"].values():
        assert tenant["name"] in rows[tenant["tier"]][-1]


def section(corpus: Corpus, name: str) -> dict[str, Any]:
    """A section of the world that not every version of it has."""
    if name not in corpus.world:
        pytest.skip(f"the world has no section {name!r}")
    found: dict[str, Any] = corpus.world[name]
    return found


def test_every_endpoint_exists(corpus: Corpus) -> None:
    endpoints = section(corpus, "endpoints")
    patterns = [re.compile(re.sub(r"\\{[^/]*?\\}", "[^/]+", re.escape(endpoint))) for endpoint in endpoints]
    texts = {document.id: document.text for document in corpus.documents}
    for name, text in texts.items():
        for endpoint in ENDPOINT.findall(text):
            assert any(pattern.fullmatch(endpoint.rstrip(".,;:")) for pattern in patterns), (name, endpoint)


def test_every_endpoint_belongs_to_a_service(corpus: Corpus) -> None:
    for endpoint, of in section(corpus, "endpoints").items():
        assert ENDPOINT.fullmatch(endpoint), endpoint
        assert of["service"] in corpus.world["services"], endpoint


def test_every_decision_record_exists(corpus: Corpus) -> None:
    known = section(corpus, "adrs")
    texts = {document.id: f"{document.title} {document.text}" for document in corpus.documents}
    texts |= {question.id: question.text for question in corpus.golden}
    for name, text in texts.items():
        for written in ADR.findall(text):
            assert f"ADR-{int(written):04d}" in known, (name, f"ADR {written}")


def test_a_dashboard_that_is_named_belongs_to_a_service(corpus: Corpus) -> None:
    services = corpus.world["services"]
    titles = [service["dashboard"] for service in services.values() if service.get("dashboard")]
    if not titles:
        pytest.skip("the world names no dashboards")
    assert len(set(titles)) == len(titles)
    for document in corpus.documents:
        for one, other in DASHBOARD.findall(document.text):
            assert (one or other) in titles, (document.id, one or other)


def test_nobody_is_in_two_teams_and_a_lead_is_in_their_own(corpus: Corpus) -> None:
    teams = corpus.world["teams"]
    people = [person for team in teams.values() for person in team.get("members", ())]
    assert len(set(people)) == len(people)
    for name, team in teams.items():
        if "members" in team and "lead" in team:
            assert team["lead"] in team["members"], name
