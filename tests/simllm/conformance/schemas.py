"""What replies must look like: the needed part of the API's public description as JSON Schema (draft 2020-12).

Source: OpenAI's OpenAPI description, as compiled into the package openai 3.54.0 (`openai/types/**`, generated "from
our OpenAPI spec"). `test_schemas` compares every object here with its generated class. Fields that the classes call
optional are required here where the real API always sends them, null included (the reference's example replies).
Objects are closed: a field that the API does not know is an error. Only what a text model sends is described.
"""

from __future__ import annotations

from typing import Any

import openai.types as t
import openai.types.chat as tc
import openai.types.responses as tr
from openai.types.chat import chat_completion, chat_completion_chunk
from openai.types.responses import response_usage

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NAME: Schema = {"type": "string", "minLength": 1}
COUNT: Schema = {"type": "integer", "minimum": 0}
TRUE_OR_FALSE: Schema = {"type": "boolean"}
NULL: Schema = {"type": "null"}


def one(*values: Any) -> Schema:
    return {"enum": list(values)}


def many(items: Schema, **limits: Any) -> Schema:
    return {"type": "array", "items": items, **limits}


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, NULL]}


def either(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def obj(always: dict[str, Schema], sometimes: dict[str, Schema] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": always | (sometimes or {}),
        "required": list(always),
        "additionalProperties": False,
    }


# --- errors -----------------------------------------------------------------------------------------------------
ERROR_OBJECT = obj({"message": NAME, "type": NAME, "param": nullable(NAME), "code": nullable(NAME)})
ERROR = obj({"error": ERROR_OBJECT})

# --- models and embeddings --------------------------------------------------------------------------------------
MODEL = obj({"id": NAME, "object": one("model"), "created": COUNT, "owned_by": NAME})
MODEL_LIST = obj({"object": one("list"), "data": many(MODEL)})
EMBEDDING = obj(
    {"object": one("embedding"), "index": COUNT, "embedding": either(many({"type": "number"}, minItems=1), NAME)}
)
EMBEDDING_USAGE = obj({"prompt_tokens": COUNT, "total_tokens": COUNT})
EMBEDDINGS = obj({"object": one("list"), "data": many(EMBEDDING), "model": NAME, "usage": EMBEDDING_USAGE})

# --- chat completions -------------------------------------------------------------------------------------------
PROMPT_DETAILS = obj({"cached_tokens": COUNT, "audio_tokens": COUNT})
COMPLETION_DETAILS = obj(
    {
        "reasoning_tokens": COUNT,
        "audio_tokens": COUNT,
        "accepted_prediction_tokens": COUNT,
        "rejected_prediction_tokens": COUNT,
    }
)
USAGE = obj(
    {
        "prompt_tokens": COUNT,
        "completion_tokens": COUNT,
        "total_tokens": COUNT,
        "prompt_tokens_details": PROMPT_DETAILS,
        "completion_tokens_details": COMPLETION_DETAILS,
    }
)
LOGPROB: Schema = {"type": "number", "maximum": 1e-9}
BYTES = nullable(many({"type": "integer", "minimum": 0, "maximum": 255}))
TOP_LOGPROB = obj({"token": TEXT, "logprob": LOGPROB, "bytes": BYTES})
TOKEN_LOGPROB = obj({"token": TEXT, "logprob": LOGPROB, "bytes": BYTES, "top_logprobs": many(TOP_LOGPROB)})
LOGPROBS = obj({"content": nullable(many(TOKEN_LOGPROB)), "refusal": nullable(many(TOKEN_LOGPROB))})
FUNCTION = obj({"name": NAME, "arguments": TEXT})
TOOL_CALL = obj({"id": {"type": "string", "pattern": "^call_"}, "type": one("function"), "function": FUNCTION})
MESSAGE = obj(
    {"role": one("assistant"), "content": nullable(TEXT), "refusal": nullable(TEXT), "annotations": many({})},
    {"tool_calls": many(TOOL_CALL, minItems=1)},
)
FINISH = one("stop", "length", "tool_calls", "content_filter")
CHOICE = obj({"index": COUNT, "message": MESSAGE, "logprobs": nullable(LOGPROBS), "finish_reason": FINISH})
COMPLETION = obj(
    {
        "id": {"type": "string", "pattern": "^chatcmpl-"},
        "object": one("chat.completion"),
        "created": COUNT,
        "model": NAME,
        "service_tier": one("default"),
        "system_fingerprint": NAME,
        "choices": many(CHOICE, minItems=1),
        "usage": USAGE,
    }
)

# A delta names only what is new. The first piece of a call has id, type and name, the others only arguments.
DELTA_ROLE = obj({"role": one("assistant"), "content": one("", None), "refusal": NULL})
FIRST_CALL = obj(
    {
        "index": COUNT,
        "id": {"type": "string", "pattern": "^call_"},
        "type": one("function"),
        "function": obj({"name": NAME, "arguments": one("")}),
    }
)
NEXT_CALL = obj({"index": COUNT, "function": obj({"arguments": NAME})})
DELTA = either(
    obj({}),
    DELTA_ROLE,
    obj({"content": TEXT}),
    obj({"refusal": TEXT}),
    obj({"tool_calls": many(either(FIRST_CALL, NEXT_CALL), minItems=1)}),
)
CHUNK_CHOICE = obj({"index": COUNT, "delta": DELTA, "logprobs": nullable(LOGPROBS), "finish_reason": nullable(FINISH)})
CHUNK = obj(
    {
        "id": {"type": "string", "pattern": "^chatcmpl-"},
        "object": one("chat.completion.chunk"),
        "created": COUNT,
        "model": NAME,
        "service_tier": one("default"),
        "system_fingerprint": NAME,
        "choices": many(CHUNK_CHOICE, maxItems=1),
    },
    {"usage": nullable(USAGE)},
)

# --- responses --------------------------------------------------------------------------------------------------
RESPONSE_USAGE = obj(
    {
        "input_tokens": COUNT,
        "input_tokens_details": obj({"cache_write_tokens": COUNT, "cached_tokens": COUNT}),
        "output_tokens": COUNT,
        "output_tokens_details": obj({"reasoning_tokens": COUNT}),
        "total_tokens": COUNT,
    }
)
OUTPUT_TEXT = obj({"type": one("output_text"), "text": TEXT, "annotations": many({}), "logprobs": many(TOKEN_LOGPROB)})
OUTPUT_REFUSAL = obj({"type": one("refusal"), "refusal": TEXT})
ITEM_STATUS = one("in_progress", "completed", "incomplete")
OUTPUT_MESSAGE = obj(
    {
        "id": {"type": "string", "pattern": "^msg_"},
        "type": one("message"),
        "status": ITEM_STATUS,
        "role": one("assistant"),
        "content": many(either(OUTPUT_TEXT, OUTPUT_REFUSAL)),
    }
)
FUNCTION_CALL = obj(
    {
        "id": {"type": "string", "pattern": "^fc_"},
        "type": one("function_call"),
        "status": ITEM_STATUS,
        "arguments": TEXT,
        "call_id": {"type": "string", "pattern": "^call_"},
        "name": NAME,
    }
)
SUMMARY_PART = obj({"type": one("summary_text"), "text": TEXT})
REASONING_ITEM = obj(
    {
        "id": {"type": "string", "pattern": "^rs_"},
        "type": one("reasoning"),
        "summary": many(SUMMARY_PART),
        "encrypted_content": NAME,
    }
)
ITEM = either(OUTPUT_MESSAGE, FUNCTION_CALL, REASONING_ITEM)
FUNCTION_TOOL = obj(
    {
        "type": one("function"),
        "name": NAME,
        "description": nullable(NAME),
        "parameters": nullable({"type": "object"}),
        "strict": TRUE_OR_FALSE,
    }
)
TOOL_CHOICE = either(
    one("none", "auto", "required"),
    obj({"type": one("function"), "name": NAME}),
    obj(
        {
            "type": one("allowed_tools"),
            "mode": one("auto", "required"),
            "tools": many(obj({"type": one("function"), "name": NAME})),
        }
    ),
)
JSON_FORMAT = obj(
    {
        "type": one("json_schema"),
        "name": NAME,
        "schema": {"type": "object"},
        "strict": TRUE_OR_FALSE,
        "description": nullable(NAME),
    }
)
TEXT_FORMAT = either(obj({"type": one("text")}), obj({"type": one("json_object")}), JSON_FORMAT)
RESPONSE = obj(
    {
        "id": {"type": "string", "pattern": "^resp_"},
        "object": one("response"),
        "created_at": COUNT,
        "status": one("in_progress", "completed", "incomplete"),
        "background": one(False),
        "completed_at": nullable(COUNT),
        "error": NULL,
        "incomplete_details": nullable(obj({"reason": one("max_output_tokens", "content_filter")})),
        "instructions": nullable(TEXT),
        "max_output_tokens": nullable(COUNT),
        "max_tool_calls": NULL,
        "metadata": {"type": "object", "additionalProperties": TEXT},
        "model": NAME,
        "output": many(ITEM),
        "parallel_tool_calls": TRUE_OR_FALSE,
        "previous_response_id": NULL,
        "prompt_cache_key": nullable(TEXT),
        "reasoning": obj({"effort": nullable(NAME), "summary": nullable(NAME)}),
        "safety_identifier": nullable(TEXT),
        "service_tier": one("default"),
        "store": one(False),
        "temperature": {"type": "number"},
        "text": obj({"format": TEXT_FORMAT, "verbosity": one("medium")}),
        "tool_choice": TOOL_CHOICE,
        "tools": many(FUNCTION_TOOL),
        "top_logprobs": COUNT,
        "top_p": {"type": "number"},
        "truncation": one("auto", "disabled"),
        "usage": nullable(RESPONSE_USAGE),
        "user": nullable(TEXT),
    }
)
INPUT_TOKENS = obj({"object": one("response.input_tokens"), "input_tokens": COUNT})


def _event(kind: str, **fields: Schema) -> Schema:
    return obj({"type": one(kind), "sequence_number": COUNT, **fields})


_PLACE = {"item_id": NAME, "output_index": COUNT}
_PART = {**_PLACE, "content_index": COUNT}
_SUMMARY = {**_PLACE, "summary_index": COUNT}
EVENTS: dict[str, Schema] = {
    "response.created": _event("response.created", response=RESPONSE),
    "response.in_progress": _event("response.in_progress", response=RESPONSE),
    "response.completed": _event("response.completed", response=RESPONSE),
    "response.incomplete": _event("response.incomplete", response=RESPONSE),
    "response.output_item.added": _event("response.output_item.added", output_index=COUNT, item=ITEM),
    "response.output_item.done": _event("response.output_item.done", output_index=COUNT, item=ITEM),
    "response.reasoning_summary_part.added": _event(
        "response.reasoning_summary_part.added", **_SUMMARY, part=SUMMARY_PART
    ),
    "response.reasoning_summary_part.done": _event(
        "response.reasoning_summary_part.done", **_SUMMARY, part=SUMMARY_PART
    ),
    "response.reasoning_summary_text.delta": _event("response.reasoning_summary_text.delta", **_SUMMARY, delta=TEXT),
    "response.reasoning_summary_text.done": _event("response.reasoning_summary_text.done", **_SUMMARY, text=TEXT),
    "response.content_part.added": _event(
        "response.content_part.added", **_PART, part=either(OUTPUT_TEXT, OUTPUT_REFUSAL)
    ),
    "response.content_part.done": _event(
        "response.content_part.done", **_PART, part=either(OUTPUT_TEXT, OUTPUT_REFUSAL)
    ),
    "response.output_text.delta": _event(
        "response.output_text.delta", **_PART, delta=TEXT, logprobs=many(TOKEN_LOGPROB)
    ),
    "response.output_text.done": _event("response.output_text.done", **_PART, text=TEXT, logprobs=many(TOKEN_LOGPROB)),
    "response.refusal.delta": _event("response.refusal.delta", **_PART, delta=TEXT),
    "response.refusal.done": _event("response.refusal.done", **_PART, refusal=TEXT),
    "response.function_call_arguments.delta": _event("response.function_call_arguments.delta", **_PLACE, delta=TEXT),
    "response.function_call_arguments.done": _event("response.function_call_arguments.done", **_PLACE, arguments=TEXT),
}

UNDESCRIBED = {"store"}  # in real replies (e.g. github.com/simonw/llm/issues/839), but not in the description

# --- which generated class describes which object -----------------------------------------------------------------
GENERATED: list[tuple[Schema, Any]] = [
    (MODEL, t.Model),
    (EMBEDDINGS, t.CreateEmbeddingResponse),
    (EMBEDDING, t.Embedding),
    (ERROR_OBJECT, t.ErrorObject),
    (COMPLETION, tc.ChatCompletion),
    (CHOICE, chat_completion.Choice),
    (LOGPROBS, chat_completion.ChoiceLogprobs),
    (MESSAGE, tc.ChatCompletionMessage),
    (TOKEN_LOGPROB, tc.ChatCompletionTokenLogprob),
    (TOOL_CALL, tc.ChatCompletionMessageFunctionToolCall),
    (USAGE, t.CompletionUsage),
    (CHUNK, tc.ChatCompletionChunk),
    (CHUNK_CHOICE, chat_completion_chunk.Choice),
    (FIRST_CALL, chat_completion_chunk.ChoiceDeltaToolCall),
    (RESPONSE, tr.Response),
    (RESPONSE_USAGE, tr.ResponseUsage),
    (RESPONSE_USAGE["properties"]["input_tokens_details"], response_usage.InputTokensDetails),
    (OUTPUT_TEXT, tr.ResponseOutputText),
    (OUTPUT_REFUSAL, tr.ResponseOutputRefusal),
    (OUTPUT_MESSAGE, tr.ResponseOutputMessage),
    (FUNCTION_CALL, tr.ResponseFunctionToolCall),
    (REASONING_ITEM, tr.ResponseReasoningItem),
    (FUNCTION_TOOL, tr.FunctionTool),
    (EVENTS["response.created"], tr.ResponseCreatedEvent),
    (EVENTS["response.in_progress"], tr.ResponseInProgressEvent),
    (EVENTS["response.completed"], tr.ResponseCompletedEvent),
    (EVENTS["response.incomplete"], tr.ResponseIncompleteEvent),
    (EVENTS["response.output_item.added"], tr.ResponseOutputItemAddedEvent),
    (EVENTS["response.output_item.done"], tr.ResponseOutputItemDoneEvent),
    (EVENTS["response.reasoning_summary_part.added"], tr.ResponseReasoningSummaryPartAddedEvent),
    (EVENTS["response.reasoning_summary_part.done"], tr.ResponseReasoningSummaryPartDoneEvent),
    (EVENTS["response.reasoning_summary_text.delta"], tr.ResponseReasoningSummaryTextDeltaEvent),
    (EVENTS["response.reasoning_summary_text.done"], tr.ResponseReasoningSummaryTextDoneEvent),
    (EVENTS["response.content_part.added"], tr.ResponseContentPartAddedEvent),
    (EVENTS["response.content_part.done"], tr.ResponseContentPartDoneEvent),
    (EVENTS["response.output_text.delta"], tr.ResponseTextDeltaEvent),
    (EVENTS["response.output_text.done"], tr.ResponseTextDoneEvent),
    (EVENTS["response.refusal.delta"], tr.ResponseRefusalDeltaEvent),
    (EVENTS["response.refusal.done"], tr.ResponseRefusalDoneEvent),
    (EVENTS["response.function_call_arguments.delta"], tr.ResponseFunctionCallArgumentsDeltaEvent),
    (EVENTS["response.function_call_arguments.done"], tr.ResponseFunctionCallArgumentsDoneEvent),
]
