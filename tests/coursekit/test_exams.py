"""The exams for the simulated models: whole, halved, balanced, and consistent with their own schemas and texts.

Reads `shared/coursekit/model_card/exams/*.yaml`; runs no model.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.conftest import ROOT

EXAMS = ROOT / "shared" / "coursekit" / "model_card" / "exams"
LEAST_CASES = {
    "tools": 140,
    "extraction": 80,
    "judging": 160,
    "classification": 80,
    "rewriting": 50,
    "expansion": 30,
    "summary": 30,
}


@cache
def exam(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((EXAMS / f"{name}.yaml").read_text(), Loader=yaml.CSafeLoader)
    return loaded


def cases(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = exam(name)["cases"]
    return found


def expected_calls(case: dict[str, Any]) -> list[dict[str, Any]]:
    steps = case["expect"].get("steps", [])
    return [*case["expect"].get("calls", []), *(step["call"] for step in steps)]


def every_variant_of(value: Any, case: dict[str, Any]) -> list[Any]:
    """The expected value, and one copy of it per accepted variant of a field."""
    found = [value]
    for path, variants in case.get("accept", {}).items():
        for variant in variants:
            copy = json.loads(json.dumps(value))
            *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
            spot = copy
            for part in parents:
                spot = spot[part]
            assert type(spot[last]) is type(variant), f"{case['id']}: `accept` {path} is of another type"
            spot[last] = variant
            found.append(copy)
    return found


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in leaves(part)]
    if isinstance(value, list):
        return [leaf for part in value for leaf in leaves(part)]
    return [value]


def test_there_is_a_test_for_every_exam_file() -> None:
    assert {path.stem for path in EXAMS.glob("*.yaml")} == set(LEAST_CASES)


@pytest.mark.parametrize("name", LEAST_CASES)
def test_an_exam_is_large_enough_and_split_in_halves(name: str) -> None:
    halves = Counter(case["split"] for case in cases(name))
    assert set(halves) == {"dev", "test"}
    assert halves["dev"] >= halves["test"] >= LEAST_CASES[name] / 2
    assert halves.total() >= LEAST_CASES[name]


@pytest.mark.parametrize("name", LEAST_CASES)
def test_ids_are_unique_and_difficulty_is_one_to_three(name: str) -> None:
    ids = Counter(case["id"] for case in cases(name))
    assert [name for name, times in ids.items() if times > 1] == []
    assert {case["difficulty"] for case in cases(name)} <= {1, 2, 3}


@pytest.mark.parametrize("name", LEAST_CASES)
def test_the_dev_half_comes_first_so_that_the_test_half_need_not_be_read(name: str) -> None:
    halves = [case["split"] for case in cases(name)]
    assert halves == sorted(halves)


@pytest.mark.parametrize("name", LEAST_CASES)
def test_no_case_stands_twice(name: str) -> None:
    skipped = {"id", "split", "difficulty", "trap"}
    seen = Counter(json.dumps({k: v for k, v in case.items() if k not in skipped}) for case in cases(name))
    assert [text for text, times in seen.items() if times > 1] == []


@pytest.mark.parametrize("name", LEAST_CASES)
def test_an_exam_says_how_it_is_scored_and_its_licence(name: str) -> None:
    head, _, _ = (EXAMS / f"{name}.yaml").read_text().partition("version: 1")
    assert "Scoring" in head
    assert "Licence: CC BY 4.0" in head


def test_tool_schemas_are_valid_and_described() -> None:
    for tool in exam("tools")["tools"].values():
        Draft202012Validator.check_schema(tool["parameters"])
        assert tool["description"]


def test_a_case_offers_two_to_six_known_tools_and_calls_only_those() -> None:
    for case in cases("tools"):
        assert 2 <= len(case["tools"]) <= 6, case["id"]
        assert set(case["tools"]) <= set(exam("tools")["tools"]), case["id"]
        assert {call["name"] for call in expected_calls(case)} <= set(case["tools"]), case["id"]
        assert case.get("tool_choice", "auto") in {"auto", "required", *case["tools"]}, case["id"]
        assert case["messages"][-1]["role"] == "user", case["id"]


def test_tools_of_the_dev_half_never_occur_in_the_test_half() -> None:
    used = {half: {t for c in cases("tools") if c["split"] == half for t in c["tools"]} for half in ("dev", "test")}
    assert not used["dev"] & used["test"]
    assert used["dev"] | used["test"] == set(exam("tools")["tools"])


def test_every_expected_argument_variant_is_valid_for_its_tool() -> None:
    tools = exam("tools")["tools"]
    for case in cases("tools"):
        steps = case["expect"].get("steps", [])
        wrong_on_purpose = [step["call"] for step in steps if step.get("optional")]
        for call in expected_calls(case):
            schema = tools[call["name"]]["parameters"]
            assert set(schema["required"]) <= set(call["arguments"]), case["id"]
            assert set(call.get("absent", [])) <= set(schema["properties"]) - set(call["arguments"]), case["id"]
            for argument, variants in call["arguments"].items():
                part = Draft202012Validator(schema["properties"][argument])
                if call not in wrong_on_purpose:
                    assert [e.message for v in variants for e in part.iter_errors(v)] == [], case["id"]


def test_a_question_that_a_model_must_ask_is_about_a_required_argument() -> None:
    for case in cases("tools"):
        missing = case["expect"].get("asks", {}).get("missing", [])
        required = {p for t in case["tools"] for p in exam("tools")["tools"][t]["parameters"]["required"]}
        assert set(missing) <= required, case["id"]


def test_the_final_answer_of_a_multi_step_case_stands_in_a_result() -> None:
    for case in cases("tools"):
        for step in case["expect"].get("steps", []):
            json.loads(step["result"])
        if "steps" in case["expect"]:
            shown = json.dumps([step["result"] for step in case["expect"]["steps"]], ensure_ascii=False).casefold()
            for variants in case["expect"]["final"]["must_state"]:
                assert any(variant.casefold() in shown for variant in variants), (case["id"], variants)


def test_the_kinds_of_tool_cases_are_mixed_alike_in_both_halves() -> None:
    kinds = {half: Counter(c["kind"] for c in cases("tools") if c["split"] == half) for half in ("dev", "test")}
    assert set(kinds["dev"]) == set(kinds["test"])
    assert all(kinds["dev"][kind] >= kinds["test"][kind] - 3 for kind in kinds["dev"])
    assert min((kinds["dev"] + kinds["test"]).values()) >= 6


def test_expected_extractions_are_valid_for_their_schema() -> None:
    for name in exam("extraction")["schemas"]:
        Draft202012Validator.check_schema(exam("extraction")["schemas"][name]["schema"])
    for case in cases("extraction"):
        schema = Draft202012Validator(exam("extraction")["schemas"][case["schema"]]["schema"])
        for value in every_variant_of(case["expect"], case):
            assert [e.message for e in schema.iter_errors(value)] == [], case["id"]


def test_short_expected_texts_stand_in_the_text_they_come_from() -> None:
    """Names, numbers and identifiers are copied; only enums, dates and sentences may be in other words."""
    lost = []
    for case in cases("extraction"):
        shown = case["text"].casefold()
        properties = json.dumps(exam("extraction")["schemas"][case["schema"]]["schema"])
        for leaf in leaves(case["expect"]):
            rewritten = isinstance(leaf, str) and (f'"{leaf}"' in properties or leaf[:4].isdigit())
            if isinstance(leaf, str) and not rewritten and leaf.casefold() not in shown:
                lost.append((case["id"], leaf))
    assert lost == []


def test_judging_labels_are_known_and_balanced() -> None:
    for rubric, labels in exam("judging")["labels"].items():
        for half in ("dev", "test"):
            count = Counter(c["label"] for c in cases("judging") if (c["rubric"], c["split"]) == (rubric, half))
            assert set(count) == set(labels)
            assert max(count.values()) <= 2 * min(count.values()), (rubric, half, count)


def test_classification_labels_are_given_and_none_rules_a_set() -> None:
    sets = exam("classification")["label_sets"]
    for name, labels in sets.items():
        assert 3 <= len(labels) <= 8
        count = Counter(case["label"] for case in cases("classification") if case["label_set"] == name)
        assert set(count) <= set(labels)
        assert max(count.values()) <= count.total() / 2
    halves = {half: {c["label_set"] for c in cases("classification") if c["split"] == half} for half in ("dev", "test")}
    assert not halves["dev"] & halves["test"]


def test_words_to_carry_over_stand_in_the_conversation() -> None:
    for case in cases("rewriting"):
        said = " ".join([*(turn["content"] for turn in case["history"]), case["follow_up"]]).casefold()
        assert [turn["role"] for turn in case["history"]][-1] == "assistant", case["id"]
        for variants in case["must_contain"]:
            assert any(variant in said for variant in variants), (case["id"], variants)
            assert not set(variants) & set(case["must_not_contain"]), case["id"]


def test_expansion_words_are_new_to_the_question_and_kept_words_are_not() -> None:
    for case in cases("expansion"):
        question = case["question"].casefold()
        words = question.replace("?", "").split()
        assert [word for word in case["any_of"] if word in words] == [], case["id"]
        assert all(word in question for word in case["keep"]), case["id"]


def test_facts_to_state_stand_in_the_text_and_the_limit_is_real() -> None:
    for case in cases("summary"):
        for variants in case["must_state"]:
            assert any(variant.casefold() in case["text"].casefold() for variant in variants), (case["id"], variants)
        assert case["max_words"] < 0.7 * len(case["text"].split()), case["id"]
