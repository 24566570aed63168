"""Structured output: values read out of a text into a schema, always valid."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import openai
import pytest

MAIL = (
    "Hello, I am Odile Marchand (odile@post.example). My kettle from order KX-4410 broke on 3 March 2026. "
    "Please send the 39.90 euros back. Regards, Odile Marchand"
)


def extract(client: openai.OpenAI, text: str, schema: dict[str, Any], model: str = "sim-large") -> Any:
    reply = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": text}],
        response_format={"type": "json_schema", "json_schema": {"name": "thing", "schema": schema}},
        temperature=0,
    )
    value = json.loads(reply.choices[0].message.content or "")
    jsonschema.validate(value, schema)
    return value


def record(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def test_values_are_read_from_running_text(client: openai.OpenAI) -> None:
    schema = record(
        customer={"type": "string"},
        email={"type": "string", "format": "email"},
        order_number={"type": ["string", "null"]},
        date={"type": "string", "format": "date"},
        amount={"type": "number"},
        currency={"type": "string", "enum": ["USD", "EUR"]},
        phone={"type": ["string", "null"]},
    )
    assert extract(client, MAIL, schema) == {
        "customer": "Odile Marchand",
        "email": "odile@post.example",
        "order_number": "KX-4410",
        "date": "2026-03-03",
        "amount": 39.9,
        "currency": "EUR",
        "phone": None,
    }


def test_lines_become_a_list_of_objects(client: openai.OpenAI) -> None:
    schema = record(
        items={
            "type": "array",
            "items": record(article={"type": "string"}, quantity={"type": "integer"}, price={"type": "number"}),
        }
    )
    text = (
        "Here is what we ordered.\n3 x Garden chair, 24.50 each\n1 x Folding table, 80.00\nGreetings from the office."
    )
    assert extract(client, text, schema)["items"] == [
        {"article": "Garden chair", "quantity": 3, "price": 24.5},
        {"article": "Folding table", "quantity": 1, "price": 80},
    ]


@pytest.mark.parametrize("model", ["sim-small", "sim-large"])
@pytest.mark.parametrize("text", ["", "nothing here", MAIL, "7\n7\n7", '{}[]"\\', "é ñ 漢字 🙂"])
def test_any_text_gives_a_valid_object(client: openai.OpenAI, model: str, text: str) -> None:
    schema = {
        "type": "object",
        "properties": {
            "code": {"type": "string", "pattern": "^[a-f0-9]{4}$"},
            "level": {"type": "integer", "exclusiveMinimum": 0, "maximum": 5},
            "ratio": {"type": "number", "minimum": 0.1, "maximum": 0.2},
            "when": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
            "part": {"$ref": "#/$defs/part"},
            "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}, "minItems": 2, "maxItems": 3},
            "fixed": {"const": "x"},
        },
        "required": ["code", "level", "ratio", "when", "part", "parts", "fixed"],
        "additionalProperties": False,
        "$defs": {
            "part": {
                "type": "object",
                "properties": {"name": {"type": "string", "minLength": 1}, "on": {"type": "boolean"}},
                "required": ["name", "on"],
                "additionalProperties": False,
            }
        },
    }
    extract(client, text or " ", schema, model)


def test_json_mode_fills_the_keys_of_the_prompt(client: openai.OpenAI) -> None:
    prompt = 'Reply with a JSON object with the keys "email" and "order_number".\n\n' + MAIL
    reply = client.chat.completions.create(
        model="sim-large",
        messages=[{"role": "user", "content": prompt}],
        response_format={"type": "json_object"},
        temperature=0,
    )
    assert json.loads(reply.choices[0].message.content or "") == {
        "email": "odile@post.example",
        "order_number": "KX-4410",
    }
