"""Values out of ordinary documents: who, what, in which currency; unions, trees and lists that must not be short."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import openai
import pytest

from simllm.plain_schema import VARIANTS, plain_schema
from simllm.skills.goods import goods

TEXT = {"type": "string"}
NUMBER = {"type": "number"}


def thing(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def several(items: Any, **bounds: int) -> dict[str, Any]:
    return {"type": "array", "items": items} | bounds


def read(client: Any, text: str, schema: dict[str, Any], model: str = "sim-large", *, strict: bool = True) -> Any:
    wanted = {"type": "json_schema", "json_schema": {"name": "record", "strict": strict, "schema": schema}}
    said = [{"role": "user", "content": text}]
    reply = client.chat.completions.create(model=model, messages=said, temperature=0, response_format=wanted)
    found = json.loads(reply.choices[0].message.content)
    jsonschema.validate(found, schema)
    return found


def test_a_bill_gives_its_parties_goods_and_currency(client: openai.OpenAI) -> None:
    text = "Bill from Halvorsen AS to Café Mimosa: 6 jars of honey, 10 bags of oats and 2 cans of oil. Sum 97.40 CHF."
    schema = thing(supplier=TEXT, customer=TEXT, items=several(TEXT), total=NUMBER, currency=TEXT)
    assert read(client, text, schema) == {
        "supplier": "Halvorsen AS",
        "customer": "Café Mimosa",
        "items": ["jars of honey", "bags of oats", "cans of oil"],
        "total": 97.4,
        "currency": "CHF",
    }


def test_what_leads_in_a_list_of_goods_is_no_goods(client: openai.OpenAI) -> None:
    text = "Please note an order from Quarry & Sons for 8 sheets of glass and 15 tubes of glue, total $310."
    lines = several(thing(article=TEXT, quantity={"type": "integer"}))
    found = read(client, text, thing(seller=TEXT, lines=lines, total=NUMBER, currency=TEXT))
    assert found["lines"] == [
        {"article": "sheets of glass", "quantity": 8},
        {"article": "tubes of glue", "quantity": 15},
    ]
    assert (found["seller"], found["total"], found["currency"]) == ("Quarry & Sons", 310, "USD")


@pytest.mark.parametrize(
    ("text", "currency"),
    [("It was 20 € in the end.", "EUR"), ("Paid: GBP 12.50", "GBP"), ("We spent ₹900.", "INR"), ("It was free.", "")],
)
def test_a_currency_is_a_code_or_nothing(client: openai.OpenAI, text: str, currency: str) -> None:
    assert read(client, text, thing(place=TEXT, currency=TEXT))["currency"] == currency


def test_only_what_is_counted_is_goods() -> None:
    text = "4 boxes of chalk, 3 kg flour, 2 kg of rice, 40 EUR, two lamps at 9 each, and 7 for me"
    assert [found.text for found in goods(text)] == ["boxes of chalk", "kg of rice", "lamps"]


def marked(kind: str, **properties: Any) -> dict[str, Any]:
    return thing(kind={"type": "string", "const": kind}, **properties)


def test_a_union_takes_the_variant_that_the_text_speaks_of(client: openai.OpenAI) -> None:
    ways = [
        marked("parcel", weight_kg=NUMBER),
        marked("letter", pages={"type": "integer"}),
        marked("pigeon", name=TEXT),
    ]
    schema = thing(sent={"anyOf": ways})
    assert read(client, "It goes as a parcel of 3.5 kg.", schema)["sent"] == {"kind": "parcel", "weight_kg": 3.5}
    assert read(client, "She wrote a letter, 7 pages long.", schema)["sent"] == {"kind": "letter", "pages": 7}
    assert read(client, "The pigeon is called Bruno.", schema)["sent"] == {"kind": "pigeon", "name": "Bruno"}


def test_every_row_has_a_variant_of_its_own(client: openai.OpenAI) -> None:
    parts = [marked("beam", length_m=NUMBER), marked("plate", width_m=NUMBER, height_m=NUMBER)]
    text = "Cut a beam of length 6 m; a plate of width 2 m and height 1 m; a beam of length 4 m."
    found = read(client, text, thing(parts=several({"anyOf": parts})))["parts"]
    assert [part["kind"] for part in found] == ["beam", "plate", "beam"]


def test_a_union_of_constants_is_an_enum(client: openai.OpenAI) -> None:
    colours = {"anyOf": [{"type": "string", "const": "green"}, {"type": "string", "const": "amber"}, {"type": "null"}]}
    assert read(client, "The lamp is amber.", thing(lamp=colours)) == {"lamp": "amber"}
    assert plain_schema(thing(lamp=colours), AssertionError)["properties"]["lamp"]["enum"] == ["green", "amber", None]  # type: ignore[arg-type]


def test_a_schema_with_many_variants_and_levels_stays_small() -> None:
    node: dict[str, Any] = {"anyOf": [thing(kind={"const": f"k{i}"}, inner={"$ref": "#/$defs/Node"}) for i in range(9)]}
    node["anyOf"].append({"type": "null"})
    made = plain_schema({**thing(top={"$ref": "#/$defs/Node"}), "$defs": {"Node": node}}, AssertionError)  # type: ignore[arg-type]
    assert json.dumps(made).count('"const"') <= 1_000
    assert VARIANTS not in made


TREE = {**thing(name=TEXT, children=several({"$ref": "#"}))}


def names(tree: dict[str, Any]) -> Any:
    return {tree["name"]: [names(child) for child in tree["children"]]} if tree["children"] else tree["name"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "Orchestra\n- Strings\n  - Violin\n  - Cello\n- Brass\n  - Horn",
            {"Orchestra": [{"Strings": ["Violin", "Cello"]}, {"Brass": ["Horn"]}]},
        ),
        (
            "The library has three rooms: Maps, Music and Rarities. Music contains scores, records and letters.",
            {"library": ["Maps", {"Music": ["scores", "records", "letters"]}, "Rarities"]},
        ),
        ("# Manual\n## Care\n## Repair\n### Wheels", {"Manual": ["Care", {"Repair": ["Wheels"]}]}),
    ],
)
def test_a_tree_follows_outline_or_sentences(client: openai.OpenAI, text: str, wanted: Any) -> None:
    assert names(read(client, text, TREE)) == wanted


def test_a_tree_without_a_hint_is_valid_and_small(client: openai.OpenAI) -> None:
    assert read(client, "It rains.", TREE)["children"] == []


def test_a_chain_takes_the_members_of_a_list_in_order(client: openai.OpenAI) -> None:
    schema = thing(value={"type": "integer"}, next={"anyOf": [{"$ref": "#"}, {"type": "null"}]})
    found = read(client, "The numbers are 12, 5 and 31.", schema)
    assert found == {"value": 12, "next": {"value": 5, "next": {"value": 31, "next": None}}}


@pytest.mark.parametrize("model", ["sim-small", "sim-large"])
def test_a_list_that_must_not_be_short_keeps_what_was_found(client: openai.OpenAI, model: str) -> None:
    found = read(
        client, "The town of Ostend is windy and quiet.", thing(town=TEXT, tags=several(TEXT, minItems=3)), model
    )
    assert len(found["tags"]) == 3
    if model == "sim-large":
        assert {"windy", "quiet"} <= set(found["tags"])


def test_points_of_an_answer_differ(client: openai.OpenAI) -> None:
    context = "[1] The tower is 40 metres high. It was built in 1911.\n[2] Tickets for the tower cost six euros."
    schema = thing(answer=TEXT, points=several(TEXT, minItems=3), citations=several({"type": "integer"}))
    found = read(client, f"Context:\n{context}\n\nQuestion: What is known of the tower?", schema)
    assert len(set(found["points"])) == 3
    assert set(found["citations"]) <= {1, 2}
