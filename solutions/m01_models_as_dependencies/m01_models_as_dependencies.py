# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,nbgrader,-all
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% tags=["parameters"]
MODULE = "m01_models_as_dependencies"
SEED = 7
ASKINGS = 40

# %%
# %load_ext coursekit

# %%
import functools
import json
import os
import random

import matplotlib.pyplot as plt
import numpy as np
import openai
import pandas as pd
from IPython.display import Markdown, display
from pydantic import BaseModel, ConfigDict, Field

from assistant.settings import load_settings
from coursekit import corpus, manifest, models, plots, scoreboard
from coursekit.checks import Check
from simllm import Fault

bench_models = manifest.load().models[models.SIMULATED]  # the checks' models, whatever endpoint you use
plots.use_style()
pd.set_option("display.max_colwidth", 90)


def words(text: str) -> int:
    """A stand-in for a tokenizer, for checks: one token per word."""
    return len(text.split())


def talk(*turns: str) -> list[dict[str, str]]:
    """A chat from lines such as "u hello" (s, d, u, a: system, developer, user, assistant)."""
    roles = {"s": "system", "d": "developer", "u": "user", "a": "assistant"}
    return [{"role": roles[turn[0]], "content": turn[2:]} for turn in turns]


# %% [markdown]
# # Models as dependencies
#
# **The ticket.** During a `dispatch` backlog, several engineers asked the assistant the same question. Most got the right command; some got a wrong one, and somebody ran it.
# The right runbook was in every prompt, and nothing had changed between the askings. Here is the system that you left, in two functions, and the evidence.

# %%
card = models.role("small")
environ = {
    **os.environ,
    "DATABASE_URL": os.environ.get("DATABASE_URL") or "postgresql://not-used-in-this-module/",
    "ASSISTANT_CHAT_MODEL": card.name,
    "ASSISTANT_EMBEDDING_MODEL": models.role("embedding").name,
    "ASSISTANT_CONTEXT_WINDOW_TOKENS": str(card.context_window),
    "ASSISTANT_USD_PER_MILLION_INPUT": str(card.usd_per_million_input),
    "ASSISTANT_USD_PER_MILLION_OUTPUT": str(card.usd_per_million_output),
}

# %%
settings = load_settings(environ)
client = models.client()
create = functools.partial(client.chat.completions.create, model=card.name)  # one request with the plain SDK
library = corpus.load()


# %%
def embed(texts: list[str]) -> np.ndarray:
    reply = client.embeddings.create(model=settings.embedding_model, input=texts)
    return np.array([item.embedding for item in reply.data])


texts = [document.text for document in library.documents]
vectors = np.concatenate([embed(texts[start : start + 32]) for start in range(0, len(texts), 32)])


# %%
def build_prompt(question: str, k: int = settings.retrieval_k) -> tuple[list[dict[str, str]], list[str]]:
    """The inherited prompt (the k nearest documents, whole, then the question) and all document ids, nearest first."""
    ranked = np.argsort(-(vectors @ embed([question])[0]), kind="stable")
    found = [library.documents[i] for i in ranked[:k]]
    context = "\n\n".join(document.text for document in found)
    text = f"Answer the question from the context.\n\nContext:\n{context}\n\nQuestion: {question}"
    return [{"role": "user", "content": text}], [library.documents[i].id for i in ranked]


# %%
def inherited_assistant(question: str, askings: int = 1) -> list[str]:
    """One prompt, sampled `askings` times, with every default that the API has."""
    reply = create(messages=build_prompt(question)[0], n=askings)
    return [choice.message.content for choice in reply.choices]


# %%
def tally(replies: list[str]) -> pd.DataFrame:
    """Distinct replies, most frequent first, and whether each states the limit of the runbook."""
    table = pd.Series(replies).value_counts().rename_axis("reply").reset_index(name="times")
    table["states the limit (10)"] = [scoreboard.states_key_facts(text, [["10"]]) for text in table["reply"]]
    return table[["times", "states the limit (10)", "reply"]]


# %%
incident = "bookings pile up, how far can i scale the consumers"
before = tally(inherited_assistant(incident, ASKINGS))
wrong_before = int(before.loc[~before["states the limit (10)"], "times"].sum())
display(
    Markdown(
        f"**{ASKINGS} askings, {len(before)} different replies, {wrong_before} without the right limit.** Same prompt, same model, same minute."
    )
)
before.groupby("states the limit (10)").head(4)

# %% [markdown]
# A model is a remote dependency with a strange contract:
#
# | | a database | a model |
# |---|---|---|
# | unit of work and price | row, query | **token**, in and out priced apart |
# | request limit | megabytes | a **window** shared by prompt and reply |
# | same request, same answer | yes | **a sample** from a distribution |
# | result | typed | **untyped text** |
# | half a result | an error | **looks like success** |
#
# Each bold cell is a section below. You write `tokens.py` and `llm.py`, and decide temperature and output limit, in about 110 minutes. Each exercise's docstring is its contract.

# %%
plots.architecture(today=["model", "prompt"], built=["settings"])
plt.show()

# %% [markdown]
# ## 1 · Tokens
# Models read and write *tokens*: byte strings from a fixed vocabulary, made by compressing a large text. Think of a dictionary coder whose dictionary was frozen at training time.
#
# ### Exercise 1 · `m01-bpe` · a tokenizer by hand
# *12 minutes · difficulty 2 of 3 · 8 points.* **Why production cares:** every limit and every invoice is in tokens.
#
# **Contract.** `train_bpe` learns which byte pairs to join, most frequent first; ties go to the *lowest* pair. `encode_bpe` applies the merges to any text, earliest learned first. `merge_pair` is given.
#
# **By hand.** `"aaabdaaabac"`: `(a, a)` occurs 4 times, first merge. In `aa a b d aa a b a c`, `(a, b)` and `(aa, a)` occur twice; `(a, b)` is lower, second merge.
#
# <details><summary>Hint 1: where to look</summary>Training is a count, a choice and a merge per round; encoding only the last two.</details>
# <details><summary>Hint 2: the idea</summary>One sort key can say "most frequent, then lowest". In encoding, age decides, not position.</details>
# <details><summary>Hint 3: pseudocode</summary>train: repeat { count neighbours; none ≥ 2 → stop; best = min by (−count, pair); merge }. encode: loop { earliest learned among the neighbours; merge }.</details>

# %% nbgrader={"grade": false, "grade_id": "m01-tokens-given", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export tokens.py
"""Tokens: what a model reads, chooses from and charges for.

Byte-pair encoding by hand (Gage 1994; Sennrich, Haddow and Birch, ACL 2016; byte level as in GPT-2), sampling
from a next-token distribution, and fitting a chat into a context window. Pure functions: no model is called.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from openai.types.chat import ChatCompletionMessageParam as Message
from tokenizers import Tokenizer

Pair = tuple[bytes, bytes]


def merge_pair(tokens: list[bytes], pair: Pair) -> list[bytes]:
    """Join every occurrence of `pair`, left to right, none overlapping.

    >>> merge_pair([b"a", b"a", b"a"], (b"a", b"a"))
    [b'aa', b'a']
    """
    merged: list[bytes] = []
    for token in tokens:
        if merged and (merged[-1], token) == pair:
            merged[-1] += token
        else:
            merged.append(token)
    return merged


# %% nbgrader={"grade": false, "grade_id": "m01-bpe", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export tokens.py
def train_bpe(text: str, merge_count: int) -> list[Pair]:
    """Learn byte-pair merges from `text`, most frequent pair first.

    Starts from single bytes. Each round counts all adjacent pairs of the current tokens (every position, overlaps
    too), learns the most frequent and joins it everywhere. Ties go to the lowest pair, as Python orders bytes.

    Args:
        text: training text; read as UTF-8 bytes.
        merge_count: the most merges to learn.

    Returns:
        At most `merge_count` pairs, in the order learned; fewer when no pair occurs twice any more.

    Raises:
        ValueError: `merge_count` is negative.

    Source: Sennrich, Haddow and Birch, ACL 2016.

    >>> train_bpe("aaabdaaabac", 2)
    [(b'a', b'a'), (b'a', b'b')]
    """
    ### BEGIN SOLUTION
    if merge_count < 0:
        raise ValueError(f"merge_count is {merge_count}; give 0 or more")
    tokens = [bytes([byte]) for byte in text.encode()]
    merges: list[Pair] = []
    while len(merges) < merge_count:
        counts = Counter(zip(tokens, tokens[1:], strict=False))
        best = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
        if best is None or counts[best] < 2:
            break
        merges.append(best)
        tokens = merge_pair(tokens, best)
    return merges
    ### END SOLUTION


def encode_bpe(text: str, merges: Sequence[Pair]) -> list[bytes]:
    """Split `text` into tokens; joined, they are its UTF-8 bytes again.

    Args:
        text: any text, also one with characters never seen in training.
        merges: pairs in the order learned; the earliest learned one that is present is always applied next.

    >>> encode_bpe("cab", [(b"a", b"b")])
    [b'c', b'ab']
    """
    ### BEGIN SOLUTION
    rank = {pair: position for position, pair in enumerate(merges)}
    tokens = [bytes([byte]) for byte in text.encode()]
    while True:
        known = [pair for pair in zip(tokens, tokens[1:], strict=False) if pair in rank]
        if not known:
            return tokens
        tokens = merge_pair(tokens, min(known, key=rank.__getitem__))
    ### END SOLUTION


# %%
log_line = "retry retry retry: dispatch retries the dispatch queue"
for merge_count in (0, 5, 20):
    print(f"{merge_count:>2} merges:", b"|".join(encode_bpe(log_line, train_bpe(log_line, merge_count))).decode())

# %% nbgrader={"grade": true, "grade_id": "m01-bpe-basic", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
with Check("m01-bpe-basic") as check:
    check.call(train_bpe, "aaabdaaabac", 3).equals(
        [(b"a", b"a"), (b"a", b"b"), (b"aa", b"ab")],
        problem="wrong merges",
        why="after joining 'aa' the text is aa a b d aa a b a c; later merges build on earlier ones",
        hint="count again after every merge, over the merged tokens",
    )
    check.call(encode_bpe, "aab", [(b"a", b"a"), (b"aa", b"b")]).equals(
        [b"aab"],
        problem="wrong tokens",
        why="the first merge makes 'aa', which the second one then joins with 'b'",
        hint="keep merging until no learned pair is left",
    )
    check.call(encode_bpe, "größe", []).equals(
        [b"g", b"r", b"\xc3", b"\xb6", b"\xc3", b"\x9f", b"e"],
        problem="not byte level",
        why="without merges every token is one UTF-8 byte; 'ö' and 'ß' have two each",
        hint="start from the encoded bytes, not from the characters",
    )
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        check.call(train_bpe, "low lower lowest newer newest", 4).equals(
            [(b"w", b"e"), (b"l", b"o"), (b" ", b"lo"), (b" ", b"n")],
            problem="wrong merges",
            why="the most frequent pair of the current tokens is learned, round by round",
            hint="look at the counts of each round",
        )
        merges = train_bpe("the queue is the queue; die Schlange wächst, die Schlange fällt", 30)
        for text in ("the Schlange wächst", "日本語 and 🚢", "the the queue", "x"):
            check.call(encode_bpe, text, merges).satisfies(
                lambda tokens, text=text: b"".join(tokens) == text.encode() and len(tokens) <= len(text.encode()),
                expected="tokens that join to the text's bytes",
                problem="tokens are lost or invented",
                why="encoding must be reversible for every text, seen or not",
                hint="only ever join neighbours; never drop or reorder",
            )
        check.call(encode_bpe, "the queue; the queue", merges).satisfies(
            lambda tokens: len(tokens) < 12,
            expected="fewer tokens than bytes",
            problem="hardly any merge was applied",
            why="frequent text must become short",
            hint="apply every learned merge that occurs",
        )
    ### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "m01-bpe-ties", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
with Check("m01-bpe-ties") as check:
    check.call(train_bpe, "zxzxabab", 1).equals(
        [(b"a", b"b")],
        problem="tie broken the wrong way",
        why="(z, x) and (a, b) both occur twice: the lowest pair goes first, not the one seen first",
        hint="make the choice depend on the pair too, not on the count alone",
    )
    check.call(train_bpe, "abcdef", 10).equals(
        [],
        problem="it does not stop",
        why="no pair occurs twice, so a merge would save nothing",
        hint="look at the best count before learning a pair",
    )
    check.call(encode_bpe, "abc", [(b"b", b"c"), (b"a", b"b")]).equals(
        [b"a", b"bc"],
        problem="merges applied in the wrong order",
        why="(b, c) was learned first, so it wins although (a, b) stands further left",
        hint="of all learned pairs present, apply the one learned first",
    )
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        for text, count, expected in (
            ("", 5, []),
            ("a", 5, []),
            ("aaaa", 5, [(b"a", b"a")]),
            ("yyxxyyxx", 2, [(b"x", b"x"), (b"y", b"xx")]),
            ("öäöä", 1, [(b"\xb6", b"\xc3")]),
            ("bc bcaaa", 1, [(b"a", b"a")]),
            ("qrqrqr", 0, []),
            ("qrqrqr", 1, [(b"q", b"r")]),
            ("qrqrqr", 3, [(b"q", b"r"), (b"qr", b"qr")]),
            ("ABAB abab ABAB", 1, [(b"A", b"B")]),
            ("e\u0301e\u0301", 1, [(b"e", b"\xcc")]),
            ("  x  y  ", 1, [(b" ", b" ")]),
            ("zyzyöö", 1, [(b"z", b"y")]),
        ):
            check.call(train_bpe, text, count).equals(
                expected,
                problem="wrong merges on an edge case",
                why="ties, texts without a repeated pair and empty texts follow the same rule",
                hint="re-read the contract: lowest pair on a tie, stop below two",
            )
        check.call(train_bpe, "abab", -1).raises(
            ValueError,
            problem="a negative count is accepted",
            why="the contract names it as an error",
            hint="check the argument first",
        )
        check.call(encode_bpe, "e\u0301\r\n", []).equals(
            [b"e", b"\xcc", b"\x81", b"\r", b"\n"],
            problem="the text was changed",
            why="another spelling of an accent or of a line's end is another text, with other bytes",
            hint="nothing may happen between the text and its bytes",
        )
        check.call(encode_bpe, "", [(b"a", b"b")]).equals(
            [], why="an empty text has no tokens", hint="nothing to merge is not an error", problem="empty text"
        )
        check.call(encode_bpe, "abcab", [(b"c", b"a"), (b"a", b"b"), (b"ca", b"b")]).equals(
            [b"ab", b"cab"],
            problem="merges applied in the wrong order",
            why="order of learning decides, not position and not length",
            hint="apply the earliest learned pair first, then look again",
        )
    ### END HIDDEN TESTS

# %% [markdown]
# Frequent words became one token, rare strings stayed bytes. Without this picture every limit stays a mystery constant. Production tokenizers are the same algorithm with more text; test that: run your endpoint's merge list through **your** `encode_bpe`.

# %%
tokenizer = Tokenizer.from_file(settings.tokenizer_file)
real_merges = []
for merge in json.loads(tokenizer.to_str())["model"]["merges"]:
    left, right = merge if isinstance(merge, list) else merge.split(" ")
    real_merges.append(
        (left.replace("▁", " ").encode(), right.replace("▁", " ").encode())
    )  # this file writes a space as ▁

# %%
for line in ("The dispatch queue is backing up.", "HBL-4127 after 45000 ms, request 550e8400-e29b"):
    by_hand = encode_bpe(" " + line, real_merges)  # this tokenizer puts a space before every text
    library_says = [
        piece.replace("▁", " ").encode() for piece in tokenizer.encode(line, add_special_tokens=False).tokens
    ]
    assert by_hand == library_says
    print(len(by_hand), b"|".join(by_hand).decode())

# %% [markdown]
# Your twenty lines and a production tokenizer agree, token for token. Code, number and request id cost nearly a token per character.
#
# **Predict.** The endpoint wraps every message: how many extra tokens per message, and per request? And how many tokens has the same notice in Hindi, how many has a UUID?

# %%
guess_per_message, guess_per_request = 2, 0  # your guesses, in tokens
guess_hindi, guess_uuid = 20, 8  # your guesses: the sentence below in Hindi; one UUID


# %%
def billed(*texts: str) -> int:
    """Prompt tokens that the endpoint charges for these user messages."""
    chat = [{"role": "user", "content": text} for text in texts]
    return create(messages=chat, max_tokens=1).usage.prompt_tokens


ping = len(tokenizer.encode("ping", add_special_tokens=False).ids)
per_message = billed("ping", "ping") - billed("ping") - ping
per_request = billed("ping") - ping - per_message
print(f"per message: {per_message} (you: {guess_per_message}), per request: {per_request} (you: {guess_per_request})")

# %% nbgrader={"grade": false, "grade_id": "m01-counting-given", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export tokens.py
TOKENS_PER_MESSAGE = 4  # measured above; a constant of the endpoint's chat template
TOKENS_PER_REPLY = 3


def load_counter(tokenizer_file: str) -> Callable[[str], int]:
    """A function that counts a text's tokens with the model's own tokenizer (a `tokenizer.json`)."""
    tokenizer = Tokenizer.from_file(tokenizer_file)
    tokenizer.encode_special_tokens = True  # "<s>" in a prompt is four characters, not a control token
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def text_of(message: Message) -> str:
    """A message's text; empty when it has none (tool calls). TypeError for images and other parts."""
    content = message.get("content")
    if content is not None and not isinstance(content, str):
        raise TypeError(f"a {message['role']} message has parts that are not plain text: they cannot be counted here")
    return content or ""


# %%
count_text = load_counter(settings.tokenizer_file)
same_message = {
    "English": "The parcel is at the depot and will be delivered tomorrow morning.",
    "German": "Das Paket ist im Depot und wird morgen früh zugestellt.",
    "Spanish": "El paquete está en el depósito y se entregará mañana por la mañana.",
    "Polish": "Paczka jest w magazynie i zostanie dostarczona jutro rano.",
    "Turkish": "Paket depoda ve yarın sabah teslim edilecek.",
    "Russian": "Посылка находится на складе и будет доставлена завтра утром.",
    "Arabic": "الطرد في المستودع وسيتم تسليمه صباح الغد.",
    "Hindi": "पार्सल डिपो में है और कल सुबह पहुँचाया जाएगा।",
    "Japanese": "荷物は倉庫にあり、明日の朝に配達されます。",
    "JSON": '{"status": "at_depot", "delivery": "2026-03-04T08:00:00Z"}',
    "log line": "08:51:52.113Z INFO parcelhub status=at_depot eta=2026-03-04T08:00Z",
    "one UUID": "550e8400-e29b-41d4-a716-446655440000",
}
counts = [count_text(text) for text in same_message.values()]
guesses = [{"Hindi": guess_hindi, "one UUID": guess_uuid}.get(name) for name in same_message]
plots.guess_and_measurement(
    list(same_message),
    guesses,
    counts,
    unit="tokens (= money, latency, window)",
    title="The same delivery notice, as the model counts it",
)
plt.show()

# %% [markdown]
# In some scripts the same sentence costs a multiple, and machine text (ids, timestamps, JSON) costs more than the prose around it. Characters divided by four is wrong exactly where it hurts.
#
# ## 2 · The context window
# The endpoint is stateless: a chat resends its history with every turn, until the request is refused. Something has to go, and what goes, the model has never heard of.
#
# ### Exercise 2 · `m01-fit` · count a chat and make it fit
# *12 minutes · difficulty 2 of 3 · 7 points · design trade-off.* **Why production cares:** without a policy, the policy is "refuse the 30th turn".
#
# **Contract.** `count_chat` adds the overheads. `fit_history` drops whole *turns* (a user message and everything up to the next one), oldest first. System messages, the last turn and pinned turns stay; if that is too long, it says so.
#
# **By hand.** System 5, turns of 10, 50 and 10 tokens, budget 40: turn 1 goes, still 65, turn 2 goes, 15. Turn 1 does not come back although it would fit: no holes.
#
# <details><summary>Hint 1: where to look</summary>Group first, decide second: which turn does each message belong to?</details>
# <details><summary>Hint 2: the idea</summary>What may be dropped is one list, oldest first. Work on positions, so that the order stays.</details>
# <details><summary>Hint 3: pseudocode</summary>turn = user messages so far; while too long: the next droppable turn loses its non-system messages; none left → raise.</details>


# %% nbgrader={"grade": false, "grade_id": "m01-fit", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export tokens.py
def count_chat(messages: Sequence[Message], count_text: Callable[[str], int]) -> int:
    """Tokens that a chat prompt costs, overheads included; `text_of` gives each message's text.

    >>> count_chat([{"role": "user", "content": "a b c"}], lambda text: len(text.split()))
    10
    """
    ### BEGIN SOLUTION
    return TOKENS_PER_REPLY + sum(TOKENS_PER_MESSAGE + count_text(text_of(message)) for message in messages)
    ### END SOLUTION


def fit_history(
    messages: Sequence[Message], budget_tokens: int, count_text: Callable[[str], int], *, pinned_turns: int = 0
) -> list[Message]:
    """Drop whole turns, oldest first and no more than needed, until the chat costs at most `budget_tokens`.

    A turn is a user message and everything up to the next one. The last turn always stays whole. Messages before the
    first turn go first.

    Args:
        messages: the chat, oldest first; never changed.
        budget_tokens: the most that `count_chat` may say about the result.
        count_text: tokens of one text.
        pinned_turns: how many of the oldest turns stay as well.

    Returns:
        A new list in the old order: every system or developer message wherever it stands, the pinned turns, and the
        newest turns that fit, without holes.

    Raises:
        ValueError: what must stay does not fit; names the tokens needed and the budget.
    """
    ### BEGIN SOLUTION
    turn_of, turn = [], 0
    for message in messages:
        turn += message["role"] == "user"
        turn_of.append(turn)
    droppable = [number for number in range(turn) if number == 0 or number > pinned_turns]
    dropped: set[int] = set()
    while True:
        kept = [
            message
            for message, number in zip(messages, turn_of, strict=True)
            if number not in dropped or message["role"] in ("system", "developer")
        ]
        needed = count_chat(kept, count_text)
        if needed <= budget_tokens:
            return kept
        if not droppable:
            raise ValueError(
                f"what must stay needs {needed} tokens, the budget is {budget_tokens}: shorten the last turn"
            )
        dropped.add(droppable.pop(0))
    ### END SOLUTION


# %%
sample = [{"role": "user", "content": text} for text in same_message.values()]
ours, theirs = count_chat(sample, count_text), billed(*same_message.values())
assert ours == theirs or not models.connect().is_simulated, f"count_chat says {ours}, the endpoint bills {theirs}"
display(
    Markdown(
        f"The whole list as one chat: we count **{ours}** tokens, the endpoint bills **{theirs}** (difference {theirs - ours})."
    )
)

# %%
chat = [{"role": "system", "content": "Answer on-call questions."}]
for number in range(1, 6):
    chat += [
        {"role": "user", "content": f"Question {number}? " * number},
        {"role": "assistant", "content": "Answer. " * 8},
    ]
chat.append({"role": "user", "content": "And now?"})
for budget in (400, 150, 60):
    print(budget, "→", [text_of(message)[:12] for message in fit_history(chat, budget, count_text)])

# %% nbgrader={"grade": true, "grade_id": "m01-fit-basic", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
with Check("m01-fit-basic") as check:
    check.call(count_chat, talk("s one two", "u three"), words).equals(
        14,
        problem="wrong token count",
        why="3 words, 4 tokens for each of 2 messages, 3 for the reply",
        hint="one overhead is per message, the other per request",
    )
    three = talk("s rules", "u " + "old " * 30, "a old", "u " + "mid " * 20, "a mid", "u now")
    check.call(fit_history, three, 1000, words).equals(
        three, problem="it drops what fits", why="the whole chat fits the budget", hint="count before dropping"
    )
    check.call(fit_history, three, 50, words).equals(
        [three[0], *three[3:]],
        problem="wrong messages kept",
        why="dropping the oldest turn (question and answer) is enough, and needed",
        hint="drop whole turns, oldest first, and stop as soon as the rest fits",
    )
    check.call(fit_history, three, 13, words).equals(
        [three[0], three[-1]],
        problem="wrong messages kept",
        why="system message and last user message always stay; here they fit exactly",
        hint="the budget is inclusive",
    )
    check.call(fit_history, three, 12, words).raises(
        ValueError,
        mentions=("13", "12"),
        problem="an impossible budget is accepted",
        why="what must stay needs 13 tokens; sending it anyway only moves the failure to the endpoint",
        hint="say in the message what is needed and what the budget is",
    )
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        long = talk(
            "s be brief", *(f"{who} {'w ' * size}" for who, size in zip("uauauau", (9, 4, 7, 2, 12, 5, 3), strict=True))
        )
        for budget, kept in ((200, 8), (90, 8), (70, 6), (60, 6), (50, 4), (34, 2), (16, 2)):
            expected = [long[0], *long[len(long) - kept + 1 :]]
            check.call(fit_history, long, budget, words).equals(
                expected,
                problem="wrong messages kept",
                why="the newest turns that fit stay, whole and in order",
                hint="count the overheads too, and stop dropping as soon as it fits",
            )
    ### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "m01-fit-edges", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
with Check("m01-fit-edges") as check:
    holes = talk("u tiny", "a ok", "u " + "big " * 40, "a ok", "u now")
    check.call(fit_history, holes, 40, words).equals(
        holes[-1:],
        problem="the history has a hole",
        why="the small oldest turn would fit again once the big one is gone, but a chat with a gap reads as nonsense",
        hint="age decides what goes, size only how much",
    )
    check.call(fit_history, holes, 40, words, pinned_turns=1).equals(
        [*holes[:2], holes[-1]],
        problem="the pinned turn is gone",
        why="the first turn is pinned: the next oldest goes instead",
        hint="take the pinned turns out of the candidates",
    )
    middle = talk("u old question", "s new rule", "a old answer", "u now")
    check.call(fit_history, middle, 14, words).equals(
        [middle[1], middle[3]],
        problem="a system message is gone",
        why="instructions stay wherever they stand, even inside a dropped turn",
        hint="decide by role as well as by turn",
    )
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        greeting = talk("a welcome aboard", "d stay polite", "u first thing", "a done", "u last")
        for budget, kept in ((31, [0, 1, 2, 3, 4]), (30, [1, 2, 3, 4]), (24, [1, 4]), (14, [1, 4])):
            check.call(fit_history, greeting, budget, words).equals(
                [greeting[position] for position in kept],
                problem="wrong messages kept",
                why="what stands before the first user message is the oldest; instructions always stay",
                hint="think of a turn number for every message",
            )
        check.call(fit_history, greeting, 22, words, pinned_turns=1).raises(
            ValueError,
            problem="an impossible budget is accepted",
            why="the pinned turn must stay, so nothing can be dropped",
            hint="check the result against the budget before returning it",
        )
        check.call(fit_history, greeting, 29, words, pinned_turns=9).equals(
            greeting[1:],
            problem="wrong messages kept",
            why="pinning more turns than there are pins them all, not the text before them",
            hint="look at what stands before the first user message",
        )
        tool = [*talk("u old", "a old", "u now"), {"role": "assistant", "content": None}, *talk("a b c")]
        check.call(fit_history, tool, 19, words).equals(
            tool[2:],
            problem="the last turn is cut",
            why="the last turn stays whole, with everything after its user message; no text counts as empty",
            hint="a turn ends where the next user message begins",
        )
        pinned = talk("u one", "u two", "u three", "u four", "u five")
        for pins, kept in ((1, [0, 2, 3, 4]), (2, [0, 1, 3, 4]), (3, [0, 1, 2, 4])):
            check.call(fit_history, tuple(pinned), 23, words, pinned_turns=pins).equals(
                [pinned[position] for position in kept],
                problem="wrong messages kept",
                why="the oldest turns are pinned, as many as asked for; the next one goes",
                hint="count turns, and take any sequence of messages",
            )
        call = {"id": "1", "type": "function", "function": {"name": "eta", "arguments": "{}"}}
        tools = [
            *talk("u where"),
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "content": "at the depot"},
        ]
        check.call(fit_history, tools, 50, words).equals(
            tools,
            problem="messages were changed or lost",
            why="a tool's call and its result belong to the turn, and messages stay as they are",
            hint="drop whole turns, not roles; pass on messages with all their fields",
        )
        check.call(count_chat, tools, words).equals(
            19,
            problem="wrong token count",
            why="a message without text has no text tokens, only its overhead",
            hint="a given function says what a message's text is",
        )
        check.call(count_chat, talk("u a", "a b"), lambda text: -(-len(text) // 4)).equals(
            13,
            problem="wrong token count",
            why="each message is tokenized on its own, and real counters do not add up over joined texts",
            hint="count message by message",
        )
        check.call(fit_history, [], 3, words).equals(
            [], problem="an empty chat fails", why="it costs 3 tokens", hint="what if there is no message at all?"
        )
        same = talk("u same", "a same", "u same")
        check.call(fit_history, same, 9, words).equals(
            same[-1:],
            problem="wrong messages kept",
            why="two messages may say the same and are two messages",
            hint="decide by position, not by comparing messages",
        )
        untouched = [dict(message) for message in same]
        all_fits = fit_history(same, 99, words)
        if isinstance(all_fits, list):
            all_fits.append(same[0])
        fit_history(same, 9, words)
        check.observe("the list that was passed in, afterwards", same).equals(
            untouched, problem="the input was changed", why="the caller still owns its history", hint="build a new list"
        )
    ### END HIDDEN TESTS

# %% [markdown]
# Your count and the bill agree; history loses its oldest turns first. Skip this, and the endpoint chooses, with a 400.
#
# **The second ticket: the chat that dies.** An engineer pastes log lines, turn after turn. Which turn is the last one that the inherited system survives?

# %%
guess_last_turn = 20  # your guess
log = "2026-03-03T08:51:{:02d}.113Z WARN parcelhub scan_id=7f3c9e{:02d}-b21 retry=3 HBL-3107 depot=NL-{:02d}\n"
turns = [f"Still failing, any idea?\n{''.join(log.format(n, t, n) for n in range(9))}" for t in range(14)]
grown, fitted = [{"role": "system", "content": "You help engineers on call."}], []
sizes = {"inherited: send everything": [], "yours: fit_history": []}
reserve = 300  # tokens of the window that the reply may need
for turn in turns:
    grown.append({"role": "user", "content": turn})
    fitted = fit_history(grown, settings.context_window_tokens - reserve, count_text)
    sizes["inherited: send everything"].append(count_chat(grown, count_text))
    sizes["yours: fit_history"].append(count_chat(fitted, count_text))
    grown.append({"role": "assistant", "content": "Check whether the depot replays old scans."})

# %%
try:
    create(messages=grown[:-1], max_tokens=reserve)
except openai.BadRequestError as error:
    print(error.status_code, error.code, "·", error.message)
last_turn = sum(size <= settings.context_window_tokens for size in sizes["inherited: send everything"])

# %%
for label, values in sizes.items():
    plt.plot(range(1, len(values) + 1), values, marker="o", markersize=3, label=label)
plt.axhline(settings.context_window_tokens, color=plots.RED, linestyle="--", label="context window")
plt.axvline(guess_last_turn, color=plots.ORANGE, linestyle=":", label=f"your guess (measured: {last_turn})")
plt.gca().set(
    xlabel="turn",
    ylabel="prompt tokens",
    title="Prompt size of one chat",
    ylim=(0, None),
    xlim=(0, None),
    xticks=range(0, max(len(turns), guess_last_turn) + 1, 2),
)
plt.legend(fontsize=8)
plt.show()

# %%
opening = "We have a problem: tenant castellan, since 02:14, depot NL-07."
story = [grown[0], {"role": "user", "content": opening}, *grown[1:-1]]
policies = {"drop the oldest": {}, "pin the first turn": {"pinned_turns": 1}}
rows = []
for name, options in policies.items():
    kept = fit_history(story, settings.context_window_tokens - reserve, count_text, **options)
    knows = any(opening in text_of(message) for message in kept)
    rows.append([name, sum(message["role"] == "user" for message in kept), knows, count_chat(kept, count_text)])
pd.DataFrame(rows, columns=["policy", "turns kept", "still knows the tenant", "prompt tokens"]).set_index("policy")

# %% [markdown]
# One policy forgets what the incident is about; the other keeps it, and pays with room that later turns will need. Summarising costs a call and can be wrong. Choose by what your users say first, and trace what was dropped.
#
# **What fits is not what is read.** Put one answer at nine places of a long prompt, among near-duplicates for other sites. Guess the share of hits in the middle.

# %%
guess_middle = 0.9  # your guess: share of hits when the answer stands in the middle
yards = {"Rotterdam": 6, "Antwerp": 8, "Gdansk": 9, "Genoa": 5, "Lisbon": 7, "Hamburg": 4}
blocks = [
    " ".join(block.split())
    for document in library.documents
    if document.lang == "en"
    for block in document.text.split("\n\n")
]
filler = [block for block in blocks if 150 < len(block) < 500 and block[0].isalpha()]


# %%
def needle_prompt(yard: str, position: int, size: int, rng: random.Random) -> str:
    """A question about one yard; its answer is passage `position` of `size`, three other yards stand anywhere."""
    sentence = "In the {} yard the batteries of the forklifts are swapped every {} hours."
    others = [sentence.format(name, yards[name]) for name in rng.sample([name for name in yards if name != yard], 3)]
    passages = rng.sample(filler, size - 4) + others
    rng.shuffle(passages)
    passages.insert(position, sentence.format(yard, yards[yard]))
    listed = "\n\n".join(f"[{number}] {text}" for number, text in enumerate(passages, 1))
    return f"Answer the question from the numbered passages.\n\n{listed}\n\nQuestion: How often are forklift batteries swapped in {yard}?"


# %%
size, places = 30, [0, 4, 7, 11, 15, 19, 22, 25, 29]
hits = dict.fromkeys(places, 0)
for place in places:
    for trial, yard in enumerate(yards):
        prompt = needle_prompt(yard, place, size, random.Random(SEED + trial))
        reply = create(messages=[{"role": "user", "content": prompt}], temperature=0, max_tokens=60)
        hits[place] += f"{yard} yard" in reply.choices[0].message.content.partition(". ")[0]

# %%
share = [hits[place] / len(yards) for place in places]
plt.plot(places, share, marker="o", label="measured")
plt.plot([size / 2], [guess_middle], "D", color=plots.ORANGE, label="your guess")
plt.gca().set(
    xlabel=f"position of the answer among {size} passages ({reply.usage.prompt_tokens} tokens)",
    ylabel="share answered correctly",
    ylim=(-0.03, 1.05),
    title="Lost in the middle",
)
plt.legend()
plt.show()

# %% [markdown]
# The prompt fits with room to spare, and its middle is read worse than its ends. Liu et al. found this curve in real models; here it is simulated, and on your own endpoint this cell measures it. Fewer, better passages beat more passages.
#
# ## 3 · A reply is a sample
# For every next token the model computes one score per vocabulary entry. Your parameters decide how one is drawn.
#
# ### Exercise 3 · `m01-distribution` · temperature and top-p
# *8 minutes · difficulty 1 of 3 · 5 points.* **Why production cares:** two numbers decide whether a retry, a cache entry and a regression test mean anything.
#
# **Contract.** Divide the scores by the temperature, exponentiate, normalise; then keep the *nucleus*, the fewest most probable tokens that reach `top_p`, and normalise again. Temperature 0 means: only the best.
#
# **By hand.** Scores log 6, log 3, log 1 are 0.6, 0.3, 0.1. At temperature 0.5 they become 36 : 9 : 1. With `top_p=0.8` two stay: 2/3 and 1/3.
#
# <details><summary>Hint 1: where to look</summary>`math.exp(1000)` overflows. Scores may be large; only differences matter.</details>
# <details><summary>Hint 2: the idea</summary>Subtract the largest score first. Sorted, the nucleus is a prefix.</details>
# <details><summary>Hint 3: pseudocode</summary>order by (−score, token); T = 0 → first; weight = exp((score − best) / T); keep while the mass before is below top_p; normalise.</details>


# %% nbgrader={"grade": false, "grade_id": "m01-distribution", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export tokens.py
def next_token_distribution(
    logprobs: Mapping[str, float], *, temperature: float = 1.0, top_p: float = 1.0
) -> dict[str, float]:
    """Turn a model's scores into the distribution that the next token is drawn from.

    Args:
        logprobs: natural-log score by token; any offset, -inf for impossible.
        temperature: divides the scores; 0 puts all mass on the best token.
        top_p: nucleus mass in (0, 1], applied after the temperature.

    Returns:
        Probability by token, above 0, summing to 1. Ties go to the lower token.

    Raises:
        ValueError: no tokens, a negative temperature, or `top_p` outside (0, 1].

    Source: nucleus sampling: Holtzman et al., ICLR 2020.

    >>> next_token_distribution({"yes": -0.1, "no": -3.0}, temperature=0)
    {'yes': 1.0}
    """
    ### BEGIN SOLUTION
    if not logprobs or temperature < 0 or not 0 < top_p <= 1:
        raise ValueError(
            f"{len(logprobs)} tokens, temperature {temperature}, top_p {top_p}: "
            "give at least one token, a temperature of 0 or more, top_p above 0 and up to 1"
        )
    order = sorted(logprobs, key=lambda token: (-logprobs[token], token))
    best = logprobs[order[0]]
    if temperature == 0:
        return {order[0]: 1.0}
    weights = {token: math.exp((logprobs[token] - best) / temperature) for token in order}
    needed = top_p * sum(weights.values())
    nucleus: dict[str, float] = {}
    mass = 0.0
    for token, weight in weights.items():
        if weight == 0 or mass >= needed:
            break
        nucleus[token] = weight
        mass += weight
    return {token: weight / mass for token, weight in nucleus.items()}
    ### END SOLUTION


# %%
scores = {" restart": -0.5, " drain": -1.2, " page": -2.5, " ignore": -5.0}
settings_tried = {
    "T=1": {},
    "T=0.5": {"temperature": 0.5},
    "T=2": {"temperature": 2.0},
    "T=1, top_p=0.7": {"top_p": 0.7},
}
pd.DataFrame({name: next_token_distribution(scores, **knobs) for name, knobs in settings_tried.items()}).fillna(
    0.0
).round(3)

# %% nbgrader={"grade": true, "grade_id": "m01-distribution-basic", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
six_three_one = {"a": np.log(6).item(), "b": np.log(3).item(), "c": 0.0}
with Check("m01-distribution-basic") as check:
    check.call(next_token_distribution, six_three_one).equals(
        {"a": 0.6, "b": 0.3, "c": 0.1},
        tolerance=1e-9,
        problem="wrong probabilities",
        why="exp gives 6, 3 and 1, which sum to 10",
        hint="exponentiate, then normalise",
    )
    check.call(next_token_distribution, six_three_one, temperature=0.5).equals(
        {"a": 36 / 46, "b": 9 / 46, "c": 1 / 46},
        tolerance=1e-9,
        problem="wrong temperature",
        why="dividing the scores by 0.5 squares the ratios: 36 : 9 : 1",
        hint="the temperature divides the scores, before exp",
    )
    check.call(next_token_distribution, six_three_one, top_p=0.8).equals(
        {"a": 2 / 3, "b": 1 / 3},
        tolerance=1e-9,
        problem="wrong nucleus",
        why="0.6 is not enough for 0.8, 0.9 is: two tokens stay and are renormalised",
        hint="the token that crosses top_p still belongs to the nucleus",
    )
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        skewed = {"x": -0.2, "y": -2.0, "z": -4.0, "w": -7.0}
        for temperature, top_p, expected in (
            (1.0, 1.0, {"x": 0.841196, "y": 0.139049, "z": 0.018818, "w": 0.000937}),
            (2.0, 1.0, {"x": 0.629124, "y": 0.255783, "z": 0.094097, "w": 0.020996}),
            (2.0, 0.7, {"x": 0.710950, "y": 0.289050}),
            (0.3, 0.99, {"x": 1.0}),
        ):
            check.call(next_token_distribution, skewed, temperature=temperature, top_p=top_p).equals(
                expected,
                tolerance=1e-5,
                problem="wrong distribution",
                why="temperature first, then the nucleus, then normalise",
                hint="the nucleus is chosen from the probabilities after the temperature",
            )
    ### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "m01-distribution-edges", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
with Check("m01-distribution-edges") as check:
    check.call(next_token_distribution, {"a": 1000.0, "b": 1000.0}).equals(
        {"a": 0.5, "b": 0.5},
        tolerance=1e-9,
        problem="large scores break it",
        why="exp(1000) overflows, yet the two scores are simply equal",
        hint="a constant added to every score changes nothing: choose it well",
    )
    check.call(next_token_distribution, {"b": -1.0, "a": -1.0, "c": -2.0}, temperature=0).equals(
        {"a": 1.0},
        problem="temperature 0 goes wrong",
        why="temperature 0 is greedy; 'a' and 'b' tie, and the lower token wins",
        hint="dividing by 0 is not what is meant: treat it on its own",
    )
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        check.call(next_token_distribution, {"a": -2000.0, "b": -2001.0}).equals(
            {"a": 0.731059, "b": 0.268941},
            tolerance=1e-5,
            problem="small scores break it",
            why="only differences between scores matter",
            hint="shift the scores before exponentiating",
        )
        check.call(next_token_distribution, {"a": -1.0, "b": float("-inf"), "c": -1.0}, temperature=1.5).equals(
            {"a": 0.5, "c": 0.5},
            tolerance=1e-9,
            problem="an impossible token is kept",
            why="a score of minus infinity is probability 0, and such tokens are left out",
            hint="leave out what has no probability",
        )
        check.call(next_token_distribution, {"d": 0.0, "c": 0.0, "b": 0.0, "a": 0.0}, top_p=0.4).equals(
            {"a": 0.5, "b": 0.5},
            tolerance=1e-9,
            problem="ties in the nucleus",
            why="equal tokens enter the nucleus lower token first",
            hint="sort by score and by token",
        )
        for scores, options, expected in (
            ({"d": 0.0, "c": 0.0, "b": 0.0, "a": 0.0}, {"top_p": 0.5}, {"a": 0.5, "b": 0.5}),
            ({"a": 0.0, "b": -9.0}, {}, {"a": 0.9998766, "b": 0.0001234}),
            ({"a": 0.0, "b": -5.0}, {"temperature": 5.0}, {"a": 0.7310586, "b": 0.2689414}),
            ({"a": 800.0, "b": 799.9}, {"temperature": 0.01}, {"a": 0.9999546, "b": 0.0000454}),
        ):
            check.call(next_token_distribution, scores, **options).equals(
                expected,
                tolerance=1e-6,
                problem="wrong distribution at an edge",
                why="reached means reached, a small probability is not none, and any temperature above 0 divides",
                hint="try top_p at exactly a sum, and temperatures far from 1",
            )
        for bad in (
            {"temperature": -0.1},
            {"top_p": 0.0},
            {"top_p": 1.01},
            {"top_p": -0.5},
            {"top_p": 2.0, "temperature": 0},
        ):
            check.call(next_token_distribution, {"a": 0.0}, **bad).raises(
                ValueError,
                problem="a bad argument is accepted",
                why="the contract names it as an error",
                hint="check the arguments first",
            )
        check.call(next_token_distribution, {}).raises(
            ValueError, problem="no tokens", why="nothing can be drawn from nothing", hint="check the arguments first"
        )
    ### END HIDDEN TESTS

# %% [markdown]
# Temperature stretches ratios, top-p cuts the tail; mix them up and every "deterministic" test is luck. **Predicted against drawn:** the endpoint shows the scores of its best 20 tokens; 128 one-token replies show what is drawn.
#
# Then guess: of 20 askings of the incident's question, how many *different* replies at each temperature?

# %%
starter = [{"role": "user", "content": "Finish the sentence: The queue is"}]
probe = create(messages=starter, max_tokens=1, temperature=1, logprobs=True, top_logprobs=20)
shown = {item.token: item.logprob for item in probe.choices[0].logprobs.content[0].top_logprobs}
labels = list(shown)[:6]
figure, panels = plt.subplots(1, 3, figsize=(9, 2.9), sharey=True)
for panel, temperature in zip(panels, (0.5, 1.0, 1.5), strict=True):
    predicted = next_token_distribution(shown, temperature=temperature)
    drawn = Counter(
        choice.message.content.strip()
        for choice in create(messages=starter, max_tokens=1, temperature=temperature, n=128).choices
    )
    inside = sum(drawn[token.strip()] for token in shown)  # the tail beyond the best 20 is not shown to us
    panel.bar(np.arange(6) - 0.2, [predicted.get(token, 0) for token in labels], width=0.4, label="your prediction")
    panel.bar(
        np.arange(6) + 0.2, [drawn[token.strip()] / inside for token in labels], width=0.4, label=f"drawn (n={inside})"
    )
    panel.set_xticks(range(6), labels, rotation=45)
    panel.set_title(f"temperature {temperature}")
    panel.legend(fontsize=7)
panels[0].set_ylabel("share of first tokens")
plt.show()

# %%
guess_distinct = {0.0: 1, 0.3: 4, 0.7: 10, 1.0: 15, 1.5: 18}  # different replies out of 20: write your guesses
incident_prompt, _ = build_prompt(incident)
distinct = {}
for temperature in guess_distinct:
    reply = create(messages=incident_prompt, temperature=temperature, n=20, max_tokens=80)
    distinct[temperature] = len({choice.message.content for choice in reply.choices})
names, guesses = [f"temperature {t}" for t in distinct], list(guess_distinct.values())
plots.guess_and_measurement(
    names, guesses, list(distinct.values()), unit="different replies out of 20", title="One prompt, twenty askings"
)
plt.show()

# %%
hot = functools.partial(create, messages=incident_prompt, temperature=1.3, max_tokens=40)
seeded = [hot(seed=SEED).choices[0].message.content for _ in range(3)]
unseeded = [hot().choices[0].message.content for _ in range(3)]
print(f"seeded: {len(set(seeded))} different of 3 · unseeded: {len(set(unseeded))} different of 3")

# %% [markdown]
# A seed pins the draws, not the model: a new version, other hardware or one changed character gives another sample. Use seeds for experiments, temperature 0 where an answer must repeat, and tests that accept any *correct* reply.
#
# ## 4 · A client with a contract
# The SDK returns what the wire said. A service needs cost, time, whether the text is whole, and one error type per *decision* (shorten, wait, fix, reject). The vocabulary is given; the behaviour is yours.
#
# ### Exercise 4 · `m01-complete` · one call, fully accounted
# *15 minutes · difficulty 2 of 3 · 8 points.* **Why production cares:** only here is it known what a question costs and which failure may be retried.
#
# **Contract.** `complete` sends one request and accounts for it. Temperature and limit have no defaults: a default is how the incident happened. `to_model_error` sorts what the SDK raises; beware of the bare `JSONDecodeError` that it lets through.
#
# **By hand.** 2,000 tokens in at 2 USD and 100 out at 8 USD per million: 0.004 + 0.0008 = 0.0048 USD.
#
# <details><summary>Hint 1: where to look</summary>`openai.APIStatusError` has `status_code` and `code`; timeouts and dropped connections have neither.</details>
# <details><summary>Hint 2: the idea</summary>Most specific case first. The `try` holds the call alone; the original error becomes the cause.</details>
# <details><summary>Hint 3: pseudocode</summary>clock; try create except SDK error or ValueError → raise mapped from it; text and usage there? cost per million; milliseconds.</details>

# %% nbgrader={"grade": false, "grade_id": "m01-llm-given", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export llm.py
"""A chat model as a dependency: completions with usage and cost, streams that notice their end, validated JSON.

    ModelError               the model did not do what was asked
    ├── ContextTooLong       the prompt does not fit the window: shorten it, do not retry
    ├── ModelUnavailable     rate limit, overload, timeout, lost connection: it may work later
    ├── RequestRefused       key, quota, model name or a parameter: a person must fix it
    ├── BadReply             a reply came, and it is not what the contract says
    └── Truncated            the reply ended before the model had finished; `text` is what there is

OpenAI-compatible Chat Completions. No retries (that is `resilience`), no prompts of its own, no global state.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

import openai
from openai.types.chat import ChatCompletion
from openai.types.chat import ChatCompletionMessageParam as Message
from openai.types.chat.completion_create_params import ResponseFormat

from assistant.settings import Settings


@dataclass(frozen=True)
class ChatModel:
    """A model as a caller pays for it: name, window in tokens, prices in USD per million tokens."""

    name: str
    context_window: int
    usd_per_million_input: float
    usd_per_million_output: float

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The chat model that the service is configured with."""
        prices = settings.usd_per_million_input, settings.usd_per_million_output
        return cls(settings.chat_model, settings.context_window_tokens, *prices)


@dataclass(frozen=True)
class TokenUsage:
    """Tokens of one or more requests, as billed."""

    input_tokens: int
    output_tokens: int

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        return TokenUsage(self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens)


@dataclass(frozen=True)
class Completion:
    """One reply. Only `finish_reason` "stop" is a whole one. Latencies are the caller's wall clock; `model` is who served it."""

    text: str
    finish_reason: str
    usage: TokenUsage
    cost_usd: float
    latency_ms: float
    model: str
    first_token_ms: float | None = None  # streams only


class ModelError(Exception):
    """The model did not do what was asked. `text` is the partial or wrong reply, if any; its end is in the message."""

    def __init__(self, message: str, *, text: str = "") -> None:
        super().__init__(f"{message} (received {len(text)} characters, ending in {text[-40:]!r})" if text else message)
        self.text = text


class ContextTooLong(ModelError):
    """The prompt does not fit the context window."""


class ModelUnavailable(ModelError):
    """It may work later."""


class RequestRefused(ModelError):
    """A person must fix the request or the account."""


class BadReply(ModelError):
    """The reply is not what the contract says."""


class Truncated(ModelError):
    """The reply ended before the model had finished."""


# %% nbgrader={"grade": false, "grade_id": "m01-complete", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export llm.py
def cost_usd(model: ChatModel, usage: TokenUsage) -> float:
    """What `usage` costs at the model's prices, in USD.

    >>> cost_usd(ChatModel("m", 4096, 2.0, 8.0), TokenUsage(2000, 100))
    0.0048
    """
    ### BEGIN SOLUTION
    return (usage.input_tokens * model.usd_per_million_input + usage.output_tokens * model.usd_per_million_output) / 1e6
    ### END SOLUTION


def to_model_error(error: Exception) -> ModelError:
    """Translate what the SDK raised into the decision that the caller has to take.

    - ContextTooLong: code `context_length_exceeded`.
    - ModelUnavailable: status 408, 409, 429 or 5xx (unless the code is `insufficient_quota`), timeout, lost connection.
    - RequestRefused: code `insufficient_quota`, and every other status.
    - BadReply: the body is not valid JSON, or not the shape that the SDK expects.

    Args:
        error: an `openai.OpenAIError`, or a `ValueError` from parsing the body.

    Returns:
        The error to raise from it, with the original message inside.
    """
    ### BEGIN SOLUTION
    if isinstance(error, openai.APIConnectionError):
        return ModelUnavailable(f"no reply: {error}")
    if isinstance(error, openai.APIStatusError):
        if error.code == "context_length_exceeded":
            return ContextTooLong(f"the prompt does not fit: {error.message}")
        may_work_later = error.status_code in (408, 409, 429) or error.status_code >= 500
        if may_work_later and error.code != "insufficient_quota":
            return ModelUnavailable(f"status {error.status_code}: {error.message}")
        return RequestRefused(f"status {error.status_code}: {error.message}")
    if isinstance(error, (openai.APIResponseValidationError, ValueError)):
        return BadReply(f"the body is not a valid reply: {error}")
    return ModelError(str(error))
    ### END SOLUTION


def complete(
    client: openai.OpenAI,
    model: ChatModel,
    messages: Sequence[Message],
    *,
    temperature: float,
    max_output_tokens: int,
    timeout_s: float = 30.0,
    response_format: ResponseFormat | None = None,
) -> Completion:
    """Ask once, and account for it. A reply cut by the limit is returned, with `finish_reason` "length".

    Args:
        client: whose `max_retries` decides about retries.
        model: name to ask for and prices to charge.
        messages: the whole prompt.
        temperature: 0 to 2.
        max_output_tokens: the reply is cut there.
        timeout_s: longest wait for the next byte, in seconds.
        response_format: shape asked for, in the API's terms.

    Raises:
        ModelError: as `to_model_error` says; BadReply also for a reply without usage, or whose content is None (an empty string is a text).
    """
    ### BEGIN SOLUTION
    started = time.perf_counter()
    try:
        reply = client.chat.completions.create(
            model=model.name,
            messages=messages,
            temperature=temperature,
            max_completion_tokens=max_output_tokens,
            timeout=timeout_s,
            response_format=response_format or openai.omit,
        )
    except (openai.OpenAIError, ValueError) as error:
        raise to_model_error(error) from error
    latency_ms = (time.perf_counter() - started) * 1000
    choice = reply.choices[0] if isinstance(reply, ChatCompletion) and reply.choices else None
    if choice is None or choice.message.content is None or reply.usage is None:
        raise BadReply("the reply has no text or no usage")
    usage = TokenUsage(reply.usage.prompt_tokens, reply.usage.completion_tokens)
    return Completion(
        text=choice.message.content,
        finish_reason=choice.finish_reason,
        usage=usage,
        cost_usd=cost_usd(model, usage),
        latency_ms=latency_ms,
        model=reply.model,
    )
    ### END SOLUTION


# %%
gate = (
    "Answer from the context.\n\nContext:\nThe north gate opens at 06:40. The south gate opens at 09:15.\n\nQuestion: "
)
client, small = models.client(), ChatModel.from_settings(settings)
reply = complete(
    client,
    small,
    [{"role": "user", "content": gate + "When does the north gate open?"}],
    temperature=0,
    max_output_tokens=60,
)
print(reply)

# %% nbgrader={"grade": true, "grade_id": "m01-complete-basic", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
gates = "Answer from the context.\n\nContext:\nThe north gate opens at 06:40. The south gate opens at 09:15.\n\nQuestion: When does the {} gate open?"
with Check("m01-complete-basic") as check:
    bench, model = models.bench(), ChatModel(bench_models.small.name, bench_models.small.context_window, 2.0, 8.0)

    def ask(question: str, **options: float) -> Completion:
        return complete(
            bench.openai,
            model,
            [{"role": "user", "content": question}],
            **{"temperature": 0, "max_output_tokens": 60, **options},
        )

    first = check.call(ask, gates.format("north"))
    check.observe("requests at the endpoint after one call", len(bench.journal())).equals(
        1,
        problem="not one request per call",
        why="every extra request is paid for, and without one nothing was asked",
        hint="call the endpoint once",
    )
    entry = bench.journal()[0]
    tokens = {"input_tokens": entry["prompt_tokens"], "output_tokens": entry["completion_tokens"]}
    first.has(
        text="The north gate opens at 06:40.",
        finish_reason="stop",
        usage=tokens,
        model=model.name,
        problem="wrong completion",
        why="text, finish_reason and usage are what the endpoint reported, under our names",
        hint="prompt tokens are input tokens, completion tokens are output tokens",
    )
    check.call(cost_usd, model, TokenUsage(2000, 100)).equals(
        0.0048,
        tolerance=1e-12,
        problem="wrong cost",
        why="0.004 USD for 2,000 tokens in and 0.0008 USD for 100 out",
        hint="work the contract's example through by hand",
    )
    first.has(
        cost_usd=(tokens["input_tokens"] * 2.0 + tokens["output_tokens"] * 8.0) / 1_000_000,
        tolerance=1e-12,
        problem="wrong cost",
        why=f"{tokens['input_tokens']} tokens at 2 USD and {tokens['output_tokens']} at 8 USD per million",
        hint="input and output have different prices, both per million tokens",
    )
    check.call(ask, gates.format("south"), max_output_tokens=4).satisfies(
        lambda reply: reply.finish_reason == "length" and reply.usage.output_tokens <= 4,
        expected="a completion of at most 4 tokens with finish_reason 'length'",
        problem="the output limit does nothing",
        why="the limit belongs to the request; the cut reply is returned, not hidden",
        hint="pass the limit on, and the finish_reason back",
    )
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        dear = ChatModel(bench_models.large.name, bench_models.large.context_window, 0.153, 0.617)

        def ask_dear(**options: float) -> Completion:
            prompt = "Answer from the context.\n\nContext:\nCrane 4 lifts 31 tonnes.\n\nQuestion: How much does crane 4 lift?"
            return complete(
                bench.openai, dear, [{"role": "user", "content": prompt}], **{"max_output_tokens": 80, **options}
            )

        cold = check.call(ask_dear, temperature=0)
        entry = bench.journal()[-1]
        cold.has(
            usage={"input_tokens": entry["prompt_tokens"], "output_tokens": entry["completion_tokens"]},
            model=dear.name,
            cost_usd=(entry["prompt_tokens"] * 0.153 + entry["completion_tokens"] * 0.617) / 1e6,
            tolerance=1e-15,
            problem="wrong accounting for another model",
            why="prices and name come from the model that was passed in",
            hint="nothing about the model may be fixed in the function",
        )
        cold.satisfies(
            lambda reply: "31 tonnes" in reply.text,
            expected="the endpoint's text",
            problem="not the endpoint's text",
            why="the reply is what the model said, untouched",
            hint="return the message's content",
        )
        replies = [
            complete(
                bench.openai,
                model,
                [{"role": "user", "content": gates.format("north")}],
                temperature=t,
                max_output_tokens=40,
            ).text
            for t in (0, 0, 0, 2, 2, 2)
        ]
        check.that(
            len(set(replies[:3])) == 1 and len(set(replies[3:])) == 3,
            called="complete(...) at two temperatures",
            expected="one answer at 0, many at 2",
            got=replies,
            problem="the temperature does not arrive",
            why="greedy decoding repeats itself, hot sampling does not",
            hint="pass the temperature on",
        )
        context, request = gates.format("north").split("\n\nQuestion: ")
        chat = [{"role": "system", "content": context}, {"role": "user", "content": f"Question: {request}"}]
        limits = {"temperature": 0, "max_output_tokens": 60}
        check.observe("hidden", complete(bench.openai, model, chat, **limits)).has(
            text="The north gate opens at 06:40.",
            first_token_ms=None,
            problem="not the whole prompt arrives",
            why="the facts are in the first message, the question in the last",
            hint="which messages do you send?",
        )
        counter = load_counter(models.tokenizer_file())
        check.observe("prompt tokens at the endpoint", bench.journal()[-1]["prompt_tokens"]).equals(
            TOKENS_PER_REPLY + sum(TOKENS_PER_MESSAGE + counter(message["content"]) for message in chat),
            problem="another prompt than the caller's",
            why="the messages are the whole prompt: nothing is added, nothing left out",
            hint="compare what you send with what you were given",
        )
        lone = chat[1:]
        complete(bench.openai, model, lone, **limits)
        check.observe("the messages that were passed in, afterwards", lone).equals(
            chat[1:], problem="the input was changed", why="the caller still owns its messages", hint="build a new list"
        )
        check.observe("prompt tokens at the endpoint", bench.journal()[-1]["prompt_tokens"]).equals(
            TOKENS_PER_REPLY + TOKENS_PER_MESSAGE + counter(lone[0]["content"]),
            problem="another prompt than the caller's",
            why="the messages are the whole prompt: nothing is added, nothing left out",
            hint="compare what you send with what you were given",
        )
        shaped = {
            "type": "json_schema",
            "json_schema": {
                "name": "r",
                "schema": {
                    "type": "object",
                    "properties": {"gate": {"type": "string"}},
                    "required": ["gate"],
                    "additionalProperties": False,
                },
                "strict": True,
            },
        }
        check.observe("hidden", complete(bench.openai, model, chat, response_format=shaped, **limits)).satisfies(
            lambda reply: list(json.loads(reply.text)) == ["gate"],
            expected="JSON of the shape asked for",
            problem="the response format does not arrive",
            why="the shape belongs to the request",
            hint="every argument has its place in the request",
        )
        bench.script(Fault("reply", text="  two spaces\n"), Fault("reply", text="cut", finish_reason="content_filter"))
        for text, finish_reason in (("  two spaces\n", "stop"), ("cut", "content_filter")):
            check.call(ask, "anything").has(
                text=text,
                finish_reason=finish_reason,
                problem="not the endpoint's reply",
                why="text and finish_reason are returned as they came; the caller decides what they mean",
                hint="judge nothing here, report",
            )
        bench.script(Fault("slow", delay_ms=120))
        check.call(ask_dear, temperature=0).satisfies(
            lambda reply: 120 <= reply.latency_ms < 30_000,
            expected="a latency that includes the wait, in milliseconds",
            problem="wrong latency",
            why="latency is what the caller waited, in the unit of its name",
            hint="start the clock before the request; mind the unit",
        )
    ### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "m01-complete-errors", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
with Check("m01-complete-errors") as check:
    bench, model = models.bench(), ChatModel(bench_models.small.name, bench_models.small.context_window, 2.0, 8.0)

    def ask(
        text: str = "Answer from the context.\n\nContext:\nThe lift is broken.\n\nQuestion: What is broken?",
        **options: float,
    ) -> Completion:
        return complete(
            bench.openai,
            model,
            [{"role": "user", "content": text}],
            **{"temperature": 0, "max_output_tokens": 20, **options},
        )

    check.call(ask, "berth " * 5000).raises(
        ContextTooLong,
        mentions=("maximum context length",),
        problem="wrong error for a prompt that is too long",
        why="a retry would fail again: the caller must shorten, so it needs a type of its own",
        hint="the SDK's error carries the API's code",
    )
    bench.script(Fault("rate_limit"), Fault("quota"), Fault("broken_json"))
    check.call(ask).raises(
        ModelUnavailable,
        mentions=("429",),
        problem="wrong error for a rate limit",
        why="a 429 for too many requests goes away with time",
        hint="map by status code, and keep the original message",
    )
    check.call(ask).raises(
        RequestRefused,
        problem="wrong error for an exhausted quota",
        why="also a 429, yet no waiting helps: somebody has to pay",
        hint="the code is more specific than the status",
    )
    check.call(ask).raises(
        BadReply,
        problem="wrong error for a body that is not JSON",
        why="the SDK lets the parser's own exception through; callers that catch model errors would crash",
        hint="what does `json.loads` raise, and what is that a subclass of?",
    )
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        bench.script(
            Fault("server_error", status=503),
            Fault("reset"),
            Fault("slow", delay_ms=600),
            Fault("server_error", status=500),
        )
        for options, word in (({}, "503"), ({}, "connection"), ({"timeout_s": 0.25}, "timed out"), ({}, "500")):
            check.call(ask, **options).raises(
                ModelUnavailable,
                mentions=(word,),
                problem="wrong error for an endpoint that is down or slow",
                why="overload, dropped connection and timeout may all work later",
                hint="timeouts and lost connections have no status code",
            )
        for broken in ({"temperature": 7.5}, {"max_output_tokens": 0}):
            check.call(ask, **broken).raises(
                RequestRefused,
                problem="wrong error for a request that is wrong in itself",
                why="sending it again changes nothing",
                hint="not every 400 is about the context",
            )
        unknown = ChatModel("no-such-model", 4096, 1.0, 1.0)
        check.call(
            lambda: complete(
                bench.openai, unknown, [{"role": "user", "content": "hi"}], temperature=0, max_output_tokens=5
            )
        ).raises(
            RequestRefused,
            mentions=("no-such-model",),
            problem="wrong error for an unknown model",
            why="a person must correct the name, and needs the original message",
            hint="keep the SDK's message inside yours",
        )
        bench.script(Fault("slow", delay_ms=300))
        check.call(ask, timeout_s=5.0).satisfies(
            lambda reply: reply.finish_reason in ("stop", "length"),
            expected="a completion",
            problem="the caller's patience does not arrive",
            why="a slow reply within the timeout is a reply",
            hint="the timeout belongs to the request, as it was given",
        )
        check.call(ask).satisfies(
            lambda reply: reply.finish_reason in ("stop", "length"),
            expected="a completion",
            problem="it does not recover",
            why="after the failures the endpoint is healthy again",
            hint="keep no state between calls",
        )
    ### END HIDDEN TESTS

# %% [markdown]
# Text, tokens, money and time in one record; without it, finance gets a monthly total as an answer. A token of output costs several times as much as one of input. **Predict:** which share of a RAG answer's cost is output?

# %%
guess_output_share = 0.5  # your guess
ask_model = functools.partial(complete, client, small, temperature=0, max_output_tokens=300)
shapes = {
    "RAG answer": ask_model(incident_prompt),
    "chat, last turn": ask_model(fitted),
    "short question": ask_model([{"role": "user", "content": "What is a dead letter queue?"}]),
    "RAG answer that rambles": complete(client, small, incident_prompt, temperature=2, max_output_tokens=300),
}
used = {name: (reply.usage.input_tokens, reply.usage.output_tokens) for name, reply in shapes.items()}
prices = np.array([small.usd_per_million_input, small.usd_per_million_output]) / 1000
money = pd.DataFrame(used, index=["input", "output"]).T * prices
axes = money.plot.barh(stacked=True, xlabel="USD per 1,000 requests", title="Where the money goes", figsize=(7.2, 2.6))
axes.invert_yaxis()
plt.show()
rag = money.loc["RAG answer"]
display(
    Markdown(
        f"Output is **{rag['output'] / max(rag.sum(), 1e-12):.0%}** of a RAG answer's cost (you guessed {guess_output_share:.0%}): the prompt is the bill."
    )
)

# %%
points = []
for limit in (5, 40, 80, 120, 160, 200):
    raw = client.chat.completions.with_raw_response.create(
        model=card.name, messages=incident_prompt, temperature=2, seed=SEED, max_tokens=limit
    )
    simulated = raw.headers.get("x-sim-latency-ms")
    points.append(
        (raw.parse().usage.completion_tokens, float(simulated) if simulated else raw.elapsed.total_seconds() * 1000)
    )
tokens_out, waited_ms = np.array(points).T
slope, intercept = np.polyfit(tokens_out, waited_ms, 1)
plt.scatter(tokens_out, waited_ms, zorder=3, label="measured")
plt.plot(
    [0, max(tokens_out)],
    [intercept, intercept + slope * max(tokens_out)],
    color=plots.GREY,
    label=f"{intercept:.0f} ms to the first token + {slope:.1f} ms per token",
)
plt.gca().set(
    xlabel="output tokens",
    ylabel="latency (ms; simulated clock)" if simulated else "latency (ms)",
    title="Where the time goes",
    ylim=(0, None),
)
plt.legend()
plt.show()

# %% [markdown]
# Money sits in the prompt, time in the reply: retrieval and caching cut cost, output limits and streaming cut waiting. Streaming also brings the nastiest failure of this module.
#
# ### Exercise 5 · `m01-stream` · a stream that knows when it was cut
# *10 minutes · difficulty 3 of 3 · 6 points · survives a failure.* **Why production cares:** a proxy that closes the connection cleanly makes half an answer look whole: HTTP 200, no exception.
#
# **Contract.** `stream_text` yields pieces as they arrive. Unless the reply ended with `finish_reason` `"stop"`, it raises `Truncated` after the last piece, with everything received. A whole reply is reported to `on_finish`, with its usage: an endpoint sends that in a last chunk of its own, and only to those who ask with `stream_options={"include_usage": True}`.
#
# **By hand.** `"Restart"`, `" the"`, end of the body: two pieces, then `Truncated` with `text == "Restart the"`.
#
# <details><summary>Hint 1: where to look</summary>Print the raw chunks once, with and without `stream_options`: which one carries `finish_reason`, which one usage?</details>
# <details><summary>Hint 2: the idea</summary>The end of iteration is not the end of the reply. Remember the last `finish_reason`, judge after the loop.</details>
# <details><summary>Hint 3: pseudocode</summary>for chunk: keep usage; for choice: keep finish_reason; text → note first time, collect, yield. SDK error: text so far? Truncated, else mapped. Not "stop" → Truncated. on_finish last.</details>


# %% nbgrader={"grade": false, "grade_id": "m01-stream", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export llm.py
def stream_text(
    client: openai.OpenAI,
    model: ChatModel,
    messages: Sequence[Message],
    *,
    temperature: float,
    max_output_tokens: int,
    timeout_s: float = 30.0,
    on_finish: Callable[[Completion], None] | None = None,
) -> Iterator[str]:
    """Yield a reply piece by piece; never let a partial one pass for a whole one.

    Args:
        client, model, messages, temperature, max_output_tokens, timeout_s: as for `complete`.
        on_finish: called once after a whole reply, with its accounting and `first_token_ms`.

    Raises:
        Truncated: the stream ended without `finish_reason` "stop" (cut by the limit counts), or the SDK raised after
            the first text; `text` is what had been yielded.
        ModelError: the SDK raised before the first text; as for `complete`.
    """
    ### BEGIN SOLUTION
    started = time.perf_counter()
    text, finish_reason, first_token_ms = "", None, None
    usage, served_by = TokenUsage(0, 0), model.name
    try:
        with client.chat.completions.create(
            model=model.name,
            messages=messages,
            temperature=temperature,
            max_completion_tokens=max_output_tokens,
            timeout=timeout_s,
            stream=True,
            stream_options={"include_usage": True},
        ) as stream:
            for chunk in stream:
                served_by = chunk.model
                if chunk.usage is not None:
                    usage = TokenUsage(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
                for choice in chunk.choices:
                    finish_reason = choice.finish_reason or finish_reason
                    if choice.delta.content:
                        first_token_ms = first_token_ms or (time.perf_counter() - started) * 1000
                        text += choice.delta.content
                        yield choice.delta.content
    except (openai.OpenAIError, ValueError) as error:
        if text:
            raise Truncated(f"the stream broke off: {error}", text=text) from error
        raise to_model_error(error) from error
    if finish_reason != "stop":
        raise Truncated(f"the stream ended with finish_reason {finish_reason!r}", text=text)
    if on_finish is not None:
        latency_ms = (time.perf_counter() - started) * 1000
        price = cost_usd(model, usage)
        on_finish(Completion(text, finish_reason, usage, price, latency_ms, served_by, first_token_ms))
    ### END SOLUTION


# %%
question = [{"role": "user", "content": gate + "When does the south gate open?"}]
print(
    list(
        stream_text(
            client, small, question, temperature=0, max_output_tokens=60, on_finish=lambda done: print(done.usage)
        )
    )
)

# %% nbgrader={"grade": true, "grade_id": "m01-stream-basic", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
with Check("m01-stream-basic") as check:
    bench, model = models.bench(), ChatModel(bench_models.small.name, bench_models.small.context_window, 2.0, 8.0)
    prompt = "Answer from the context.\n\nContext:\nThe ferry to Texel leaves every 30 minutes from pier 2.\n\nQuestion: Where does the ferry to Texel leave?"

    def pieces(text: str = prompt, **options: object) -> list[str]:
        limits = {"temperature": 0, "max_output_tokens": 60, **options}
        return list(stream_text(bench.openai, model, [{"role": "user", "content": text}], **limits))

    whole = check.call(pieces)
    whole.satisfies(
        lambda got: "".join(got) == "The ferry to Texel leaves every 30 minutes from pier 2." and len(got) > 5,
        expected="the reply in more than five pieces, which join to the whole text",
        problem="wrong pieces",
        why="a reader sees the first words while the rest is still being written",
        hint="yield each delta's text as it comes; skip chunks without text",
    )
    bench.script(Fault("truncate_stream", after_tokens=6))
    check.call(pieces).raises(
        Truncated,
        problem="half an answer passes for a whole one",
        why="the body ended after 6 tokens and no chunk carried a finish_reason",
        hint="the loop ending is not the reply ending",
    )
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        finished: list[Completion] = []
        check.call(pieces, on_finish=finished.append).satisfies(
            lambda got: len(got) > 5,
            expected="pieces",
            problem="no pieces",
            why="on_finish changes nothing for the reader",
            hint="yield first",
        )
        entry = bench.journal()[-1]
        check.observe(
            "what on_finish received",
            [[c.usage.input_tokens, c.usage.output_tokens, c.finish_reason, c.text, c.model] for c in finished],
        ).equals(
            [[entry["prompt_tokens"], entry["completion_tokens"], "stop", "".join(whole.value), model.name]],
            problem="wrong report at the end",
            why="one report per whole reply, with the endpoint's own usage",
            hint="usage comes in a chunk of its own, if asked for",
        )
        check.observe("costs and times", finished[0]).satisfies(
            lambda c: (
                abs(c.cost_usd - (c.usage.input_tokens * 2 + c.usage.output_tokens * 8) / 1e6) < 1e-12
                and 0 < c.first_token_ms < c.latency_ms
            ),
            expected="cost from usage; first token before the end",
            problem="wrong cost or times",
            why="streams cost money too",
            hint="one clock, read at the first text and at the end",
        )
        bench.script(Fault("truncate_stream", after_tokens=4))
        check.call(pieces, on_finish=finished.append).raises(
            Truncated,
            mentions=("".join(whole.value[:3]),),
            problem="the partial text is lost",
            why="the caller may want to show or log it",
            hint="pass the text on",
        )
        check.observe("reports so far", len(finished)).equals(
            1, problem="a cut reply is reported as whole", why="on_finish means finished", hint="report last"
        )
    ### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "m01-stream-cut", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
with Check("m01-stream-cut") as check:
    bench, model = models.bench(), ChatModel(bench_models.small.name, bench_models.small.context_window, 2.0, 8.0)
    prompt = "Answer from the context.\n\nContext:\nBollard 12 on quay C is rated for 80 tonnes since March.\n\nQuestion: What is bollard 12 rated for?"

    def watch(**options: float) -> tuple[str, str]:
        """The text received and the name of the error that ended it ("" for none)."""
        received, limits = "", {"temperature": 0, "max_output_tokens": 60, **options}
        try:
            for piece in stream_text(bench.openai, model, [{"role": "user", "content": prompt}], **limits):
                received += piece
        except (NotImplementedError, NameError):
            raise
        except Exception as error:  # noqa: BLE001  its type is what is compared
            return received, type(error).__name__
        return received, ""

    full, _ = check.call(watch).value
    bench.script(Fault("truncate_stream", after_tokens=6))
    cut = check.call(watch).satisfies(
        lambda got: got[1] == "Truncated",
        expected="some text, then Truncated",
        problem="the cut is not noticed",
        why="the body ended after 6 tokens, and no chunk had a finish_reason",
        hint="judge after the loop, by the last finish_reason that came",
    )
    cut.satisfies(
        lambda got: 0 < len(got[0]) < len(full) and full.startswith(got[0]),
        expected="the beginning of the reply, then Truncated",
        problem="partial text is withheld",
        why="what arrived before the cut belongs to the caller; only then comes the error",
        hint="yield while reading, not at the end",
    )
    bench.script(Fault("rate_limit"))
    check.call(watch).equals(
        ["", "ModelUnavailable"],
        problem="wrong error before the first piece",
        why="nothing was received, so nothing was truncated: the request itself failed",
        hint="the same mapping as for a whole reply",
    )
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        check.call(watch, max_output_tokens=5).satisfies(
            lambda got: got[1] == "Truncated" and full.startswith(got[0]) and got[0] != "",
            expected="a cut by the limit is also a cut",
            problem="a reply cut by the output limit passes for a whole one",
            why="only one finish_reason means that the model was done",
            hint="which finish_reason is a whole reply?",
        )
        long_text = "The pallet in aisle 7 is blocked by a forklift, " * 4
        bench.script(Fault("reply", text=long_text, finish_reason="content_filter"))
        try:
            for _ in stream_text(
                bench.openai, model, [{"role": "user", "content": prompt}], temperature=0, max_output_tokens=200
            ):
                pass
            message = "no error"
        except NotImplementedError:
            raise
        except Exception as error:  # noqa: BLE001  its message is what is compared
            message = f"{type(error).__name__}: {error}"
        check.observe("the error of a filtered reply", message).satisfies(
            lambda text: text.startswith("Truncated") and f"received {len(long_text)} characters" in text,
            expected="Truncated, with everything received",
            problem="a filtered reply passes, or its text is not whole",
            why="the filter stopped the reply, and the caller must get all that came before, not the last words",
            hint="only one finish_reason is a whole reply; give the error the text, and it says how long it is",
        )
        bench.script(Fault("reply", text="pallet " * 20_000))  # more than the buffers on the way can hold
        reading = iter(
            stream_text(bench.openai, model, [{"role": "user", "content": prompt}], temperature=0, max_output_tokens=60)
        )
        next(reading)
        check.observe("has the endpoint sent everything at the first piece?", bench.journal()[-1]["complete"]).equals(
            False,
            problem="the first piece waits for the last",
            why="pieces are yielded as they arrive: the first words are there long before the end",
            hint="what happens between reading a chunk and yielding its text?",
        )
        del reading
        hot = [watch(temperature=2)[0] for _ in range(3)]
        check.observe("three streams at temperature 2", len(set(hot))).equals(
            3,
            problem="the temperature does not arrive",
            why="hot sampling does not repeat itself",
            hint="stream and whole reply take the same arguments",
        )
        bench.script(Fault("slow", delay_ms=900))
        check.call(watch, timeout_s=0.25).equals(
            ["", "ModelUnavailable"],
            problem="the timeout does not arrive",
            why="nothing came in time",
            hint="stream and whole reply take the same arguments",
        )
        context, request = prompt.split("\n\nQuestion: ")
        chat = [{"role": "system", "content": context}, {"role": "user", "content": f"Question: {request}"}]
        got = "".join(stream_text(bench.openai, model, chat, temperature=0, max_output_tokens=60))
        check.observe("a prompt of two messages", got).satisfies(
            lambda text: "80 tonnes" in text,
            expected="an answer from the first message",
            problem="not the whole prompt arrives",
            why="the facts are in the first message, the question in the last",
            hint="which messages do you send?",
        )
        bench.script(Fault("truncate_stream", after_tokens=0), Fault("reset"), Fault("quota"))
        for expected in ("Truncated", "ModelUnavailable", "RequestRefused", ""):
            check.call(watch).satisfies(
                lambda got, expected=expected: got[1] == expected,
                expected="the error that fits the failure",
                problem="wrong error",
                why="an empty stream without an end is cut; an open that fails is not",
                hint="two questions: did the stream end well, and did any text arrive before an SDK error?",
            )
    ### END HIDDEN TESTS

# %% [markdown]
# ### Break it: a proxy that closes politely
# You saw pieces, then one report; without the judgement after the loop, half a command reaches a terminal. Now thirty streams, ten of them cut with a clean end of the body. The inherited reader counts "no exception" as success. What will its dashboard say?

# %%
guess_dashboard, guess_whole = 0.8, 0.8  # your guesses: shares that look successful, and that are whole
flaky = models.bench()
flaky_small = ChatModel(bench_models.small.name, bench_models.small.context_window, 0.15, 0.6)
bad = set(random.Random(SEED).sample(range(30), 10))
looks_fine, outcomes = 0, []
for number in range(30):
    for reader in ("inherited", "yours"):
        if number in bad:
            flaky.script(Fault("truncate_stream", after_tokens=4 + number % 5))
        if reader == "inherited":
            chunks = flaky.openai.chat.completions.create(
                model=flaky_small.name, messages=question, temperature=0, stream=True
            )
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
            looks_fine += bool(text)
            continue
        try:
            outcomes.append(
                "".join(stream_text(flaky.openai, flaky_small, question, temperature=0, max_output_tokens=60))
            )
        except Truncated as error:
            outcomes.append(error)

# %%
whole = sum(isinstance(outcome, str) for outcome in outcomes)
plots.guess_and_measurement(
    ["inherited: no exception", "yours: whole replies"],
    [guess_dashboard, guess_whole],
    [looks_fine / 30, whole / 30],
    unit="share of 30 streams",
    title="Same streams, two readers",
)
plt.show()
print(next(outcome for outcome in outcomes if not isinstance(outcome, str)))

# %%
pd.DataFrame(flaky.journal())[["status", "fault", "completion_tokens", "complete"]].value_counts(dropna=False).rename(
    "requests"
).reset_index()

# %% [markdown]
# Diagnose from the journal: every status is 200. The only trace is what is *missing*, a `finish_reason`. Alert on the share of replies that end in anything but `stop`.
#
# ### Exercise 6 · `m01-json` · validated output with one repair
# *13 minutes · difficulty 2 of 3 · 6 points.* **Why production cares:** behind the model a parser is waiting, and three backticks stop it. `response_format` is a request; validation is the contract.
#
# **Contract.** `complete_json` hands the text to `parse`, without a surrounding Markdown fence. If `parse` refuses, the model sees its reply and the error, once. Refused again is a `BadReply`; both calls are paid, so both are accounted.
#
# **By hand.** `{"severity": "high"}` → "should be an integer" → `{"severity": 2}` → value, 2 attempts, 2 bills.
#
# <details><summary>Hint 1: where to look</summary>The two attempts differ only in their messages; `complete` maps every other failure.</details>
# <details><summary>Hint 2: the idea</summary>Reply and complaint join the conversation; the caller's list stays as it was.</details>
# <details><summary>Hint 3: pseudocode</summary>for attempt 1, 2: complete; add up; cut → Truncated; parse(unfenced) → return, except ValueError → extend conversation. After: BadReply.</details>

# %% nbgrader={"grade": false, "grade_id": "m01-json", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export llm.py
T = TypeVar("T")


@dataclass(frozen=True)
class Structured(Generic[T]):
    """A validated value, with what all attempts (1 or 2) cost together."""

    value: T
    attempts: int
    usage: TokenUsage
    cost_usd: float
    latency_ms: float


def json_format(schema: dict[str, Any]) -> ResponseFormat:
    """Ask for this JSON Schema in the API's terms."""
    return {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema, "strict": True}}


def complete_json(
    client: openai.OpenAI,
    model: ChatModel,
    messages: Sequence[Message],
    *,
    schema: dict[str, Any],
    parse: Callable[[str], T],
    temperature: float,
    max_output_tokens: int,
    timeout_s: float = 30.0,
) -> Structured[T]:
    """Get a validated value, with at most one repair.

    `parse` gets the reply without a surrounding Markdown fence. When it refuses, the second request holds the same
    messages, the refused reply and a user message with the error. Usage, cost and latency of both add up.

    Args:
        client, model, messages, temperature, max_output_tokens, timeout_s: as for `complete`.
        schema: JSON Schema that the model is asked to follow.
        parse: text to value, as `Model.model_validate_json`; raises ValueError with a message for the model.

    Raises:
        BadReply: the second reply is refused as well; `text` is that reply.
        Truncated: a reply was cut by the output limit; not repaired.
        ModelError: as for `complete`.
    """
    ### BEGIN SOLUTION
    conversation, problem, completion = list(messages), "", None
    usage, total_usd, latency_ms = TokenUsage(0, 0), 0.0, 0.0
    for attempt in (1, 2):
        completion = complete(
            client,
            model,
            conversation,
            temperature=temperature,
            max_output_tokens=max_output_tokens,
            timeout_s=timeout_s,
            response_format=json_format(schema),
        )
        usage += completion.usage
        total_usd += completion.cost_usd
        latency_ms += completion.latency_ms
        text = completion.text.strip()
        if completion.finish_reason == "length":
            raise Truncated(f"the JSON was cut at {max_output_tokens} tokens: raise the limit", text=text)
        if text.startswith("```") and text.endswith("```"):
            text = text.removesuffix("```").partition("\n")[2]
        try:
            return Structured(parse(text), attempt, usage, total_usd, latency_ms)
        except ValueError as error:
            problem = str(error)
        complaint = f"This reply was refused: {problem}\nReply again with corrected JSON only."
        conversation += [{"role": "assistant", "content": completion.text}, {"role": "user", "content": complaint}]
    raise BadReply(f"refused twice, {usage.output_tokens} output tokens spent: {problem}", text=text)
    ### END SOLUTION


# %%
class Triage(BaseModel):
    model_config = ConfigDict(extra="forbid")
    gate: str
    severity: int = Field(ge=1, le=4)


ticket = [
    {
        "role": "user",
        "content": "Return JSON for this ticket.\n\nContext:\nThe north gate is closed since 06:40, severity 2.\n\nQuestion: Which gate is affected?",
    }
]
complete_json(
    client,
    small,
    ticket,
    schema=Triage.model_json_schema(),
    parse=Triage.model_validate_json,
    temperature=0,
    max_output_tokens=80,
)

# %% nbgrader={"grade": true, "grade_id": "m01-json-basic", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
with Check("m01-json-basic") as check:
    bench, model = models.bench(), ChatModel(bench_models.small.name, bench_models.small.context_window, 2.0, 8.0)
    shape = {
        "type": "object",
        "properties": {"severity": {"type": "integer"}},
        "required": ["severity"],
        "additionalProperties": False,
    }

    def severity(text: str) -> int:
        value = json.loads(text)
        if not isinstance(value, dict) or type(value.get("severity")) is not int:
            raise ValueError("severity: input should be a valid integer")
        return value["severity"]

    def triage(*replies: str, **options: float) -> Structured[int]:
        """Script these replies, then ask."""
        bench.script(*[Fault("reply", text=reply) for reply in replies])
        limits = {"temperature": 0, "max_output_tokens": 50, **options}
        return complete_json(
            bench.openai,
            model,
            [{"role": "user", "content": "Severity of HBL-4127?"}],
            schema=shape,
            parse=severity,
            **limits,
        )

    def charged(requests: int) -> dict[str, object]:
        """What the endpoint charged for the last requests."""
        last = bench.journal()[-requests:]
        tokens = [sum(entry[name] for entry in last) for name in ("prompt_tokens", "completion_tokens")]
        return {
            "usage": {"input_tokens": tokens[0], "output_tokens": tokens[1]},
            "cost_usd": (tokens[0] * 2 + tokens[1] * 8) / 1e6,
        }

    check.call(triage, '{"severity": 2}').has(
        value=2,
        attempts=1,
        **charged(1),
        tolerance=1e-12,
        problem="wrong result for a valid reply",
        why="the first reply is valid: one request, its usage, the parsed value",
        hint="return what `parse` returned",
    )
    repaired = check.call(triage, '{"severity": "high"}', '{"severity": 1}')
    repaired.has(
        value=1,
        attempts=2,
        **charged(2),
        tolerance=1e-12,
        problem="wrong result after a repair",
        why="the second reply is valid, and both requests were billed",
        hint="add the usage of every attempt",
    )
    check.call(triage, '```json\n{"severity": 3}\n```').has(
        value=3,
        attempts=1,
        problem="a Markdown fence costs a repair",
        why="the JSON inside is fine; a second request would be paid for nothing",
        hint="unwrap before parsing",
    )
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        for replies, value in (
            (("Sure! Severity is 4.", '{"severity": 4}'), 4),
            (("[]", '```\n{"severity": 0}\n```'), 0),
        ):
            check.call(triage, *replies).has(
                value=value,
                attempts=2,
                **charged(2),
                tolerance=1e-12,
                problem="wrong result after a repair",
                why="whatever a parser refuses with ValueError may be repaired once",
                hint="let `parse` decide; do not guess what is wrong",
            )
        check.call(triage, '  {"severity": 5}\n').has(
            value=5,
            attempts=1,
            problem="white space",
            why="white space around JSON is JSON",
            hint="do not refuse more than `parse` does",
        )
        for ending in ("length", "stop"):
            bench.script(Fault("reply", text='{"severity": 1}', finish_reason=ending))
            outcome = check.call(triage, max_output_tokens=50)
            if ending == "stop":
                outcome.has(value=1, attempts=1, problem="wrong result", why="a whole reply", hint="one request")
            else:
                outcome.raises(
                    Truncated,
                    problem="a cut reply was accepted",
                    why="what is cut may still parse, and say something else: 1 of 12",
                    hint="look at finish_reason before parsing",
                )
        prompt = "Context:\nThe north gate is closed since 06:40, severity 2.\n\nQuestion: Which gate is affected?"
        asked = complete_json(
            bench.openai,
            model,
            [{"role": "user", "content": prompt}],
            schema=shape,
            parse=severity,
            temperature=0,
            max_output_tokens=50,
        )
        check.observe("hidden", asked).has(
            attempts=1,
            problem="the schema does not arrive",
            why="the endpoint follows a schema that it is given; without one it answers in prose",
            hint="which argument of `complete` carries the shape?",
        )
        bench.script(Fault("broken_json"))
        check.call(triage).raises(
            BadReply,
            problem="wrong error",
            why="a broken body is not a reply that could be repaired",
            hint="let the errors of one call pass",
        )
    ### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "m01-json-repair", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
with Check("m01-json-repair") as check:
    bench, model = models.bench(), ChatModel(bench_models.small.name, bench_models.small.context_window, 2.0, 8.0)
    prompt = [{"role": "user", "content": "Severity of HBL-4127?"}]

    def refuse(text: str) -> str:
        if "accept" not in text:
            raise ValueError("severity must be a whole number. " * 20)
        return text

    def triage(*replies: Fault) -> Structured[str]:
        """Script these replies, then ask."""
        bench.script(*replies)
        return complete_json(
            bench.openai,
            model,
            prompt,
            schema={"type": "object", "properties": {}, "additionalProperties": False},
            parse=refuse,
            temperature=0,
            max_output_tokens=50,
        )

    say = functools.partial(Fault, "reply")
    check.call(triage, say(text="no"), say(text="still no")).raises(
        BadReply,
        mentions=("still no",),
        problem="no clear failure after the repair",
        why="one repair, then the caller must know, with the last reply at hand",
        hint="stop after two attempts",
    )
    check.observe("requests for two refused replies", len(bench.journal())).equals(
        2, problem="wrong number of attempts", why="one question, one repair", hint="stop after two attempts"
    )
    first, second = (entry["prompt_tokens"] for entry in bench.journal())
    check.that(
        second - first > 120,
        called="two attempts, refused with a message of 120 words",
        expected="a second prompt that holds the refusal",
        got=f"{first}, then {second} prompt tokens",
        problem="the model never sees its error",
        why="without the error the second attempt is the same lottery ticket again",
        hint="put the exception's message into the conversation",
    )
    check.call(triage, say(text='{"severity": ', finish_reason="length")).raises(
        Truncated,
        problem="a cut reply is repaired",
        why="the same limit would cut the repair too: raise the limit instead",
        hint="look at finish_reason before parsing",
    )
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        check.observe("requests so far", len(bench.journal())).equals(
            3,
            problem="wrong number of requests",
            why="two attempts at most, one when the reply was cut",
            hint="count the attempts",
        )
        check.call(triage, say(text="sorry " * 150), say(text="accept this")).has(
            value="accept this",
            attempts=2,
            problem="wrong result",
            why="the second reply is accepted",
            hint="return what `parse` returned",
        )
        first, second = (entry["prompt_tokens"] for entry in bench.journal()[-2:])
        check.that(
            second - first > 250,
            called="",
            expected="",
            got="",
            problem="the model does not see its own reply",
            why="an error message without the text it is about cannot be acted on",
            hint="both the reply and the complaint belong into the conversation",
        )
        for text, wanted in (
            ("accept ```this``` too", "accept ```this``` too"),
            ("accept {this} too", "accept {this} too"),
            ("```\nson, accept\n```", "son, accept"),
            ('```json\naccept "```" inside\n```', 'accept "```" inside'),
            ("accept  two\n\nlines", "accept  two\n\nlines"),
        ):
            check.call(triage, say(text=text)).satisfies(
                lambda got, wanted=wanted: got.value.strip() == wanted and got.attempts == 1,
                expected="the reply without a surrounding fence, otherwise as it came",
                problem="`parse` got another text",
                why="only a fence around the whole reply goes; `parse` alone knows what the rest means",
                hint="try replies with backticks or braces inside",
            )
        check.call(triage, Fault("slow", delay_ms=150), say(text="accept")).satisfies(
            lambda got: got.attempts == 2 and got.latency_ms >= 150,
            expected="the latency of both attempts",
            problem="wrong latency",
            why="the caller waited for both",
            hint="latency adds up as usage does",
        )
        history = [{"role": "user", "content": "context " * 300}, *prompt]
        bench.script(say(text="no"), say(text="accept"))
        complete_json(
            bench.openai,
            model,
            history,
            schema={"type": "object", "properties": {}, "additionalProperties": False},
            parse=refuse,
            temperature=0,
            max_output_tokens=50,
        )
        first, second = (entry["prompt_tokens"] for entry in bench.journal()[-2:])
        check.that(
            second > first,
            called="",
            expected="",
            got="",
            problem="the repair forgets the question",
            why="the endpoint is stateless: what is not sent again, the model has never heard of",
            hint="the second request holds the same messages, and two more",
        )
        check.call(triage, say(text="no"), say(text="no", finish_reason="length")).raises(
            Truncated,
            problem="wrong error",
            why="the repair can be cut as well",
            hint="the same rule for both attempts",
        )
        check.call(triage, Fault("server_error", status=503)).raises(
            ModelUnavailable,
            problem="an outage is repaired",
            why="nothing was said that could be corrected",
            hint="repair only what `parse` refused",
        )
        check.call(triage, say(text="no"), Fault("rate_limit")).raises(
            ModelUnavailable,
            problem="an outage is hidden",
            why="the repair request may fail as well",
            hint="let errors pass",
        )
        check.observe("the messages that were passed in, afterwards", prompt).equals(
            [{"role": "user", "content": "Severity of HBL-4127?"}],
            problem="the input was changed",
            why="the next question must not inherit this repair",
            hint="build a new list",
        )
        strange = ""
        try:
            complete_json(
                bench.openai,
                model,
                prompt,
                schema={"type": "object", "properties": {}, "additionalProperties": False},
                parse=lambda text: 1 // 0,
                temperature=0,
                max_output_tokens=50,
            )
        except Exception as error:  # noqa: BLE001  its type is what is compared
            strange = type(error).__name__
        check.observe("the error when `parse` has a bug", strange).equals(
            "ZeroDivisionError",
            problem="a bug in `parse` is blamed on the model",
            why="only ValueError means that the reply was refused",
            hint="catch no more than the contract names",
        )
    ### END HIDDEN TESTS

# %% [markdown]
# Compare the value with the ticket: *valid* is not *true*; what a schema cannot say (does this gate exist?) belongs into `parse`. Without validation the table below happens inside your consumer: every failure, through both clients. On which lines could you act?

# %%
faults = {
    "429 rate limit": Fault("rate_limit"),
    "429 quota": Fault("quota"),
    "503 overloaded": Fault("server_error", status=503),
    "slow": Fault("slow", delay_ms=500),
    "dropped connection": Fault("reset"),
    "200, half a body": Fault("broken_json"),
    "200, cut by the limit": Fault("reply", text='{"gate": "nor', finish_reason="length"),
    "200, fenced JSON": Fault("reply", text='```json\n{"gate": "north", "severity": 2}\n```'),
    "200, chatty JSON": Fault("reply", text='Sure! {"gate": "north"}'),
}


def outcome(call: Callable[[], object]) -> str:
    """What a caller gets: a value, or the type of an exception."""
    try:
        return str(call())
    except Exception as error:  # noqa: BLE001  the table shows whatever comes
        return type(error).__name__


rows = []
for name, fault in faults.items():
    row = [name]
    for reader in ("inherited", "yours"):
        broken = models.bench(faults=[fault])
        limits = {"temperature": 0, "max_output_tokens": 80, "timeout_s": 0.25}
        if reader == "inherited":
            plain = functools.partial(
                broken.openai.chat.completions.create, model=flaky_small.name, messages=ticket, timeout=0.25
            )
            row.append(outcome(lambda plain=plain: json.loads(plain().choices[0].message.content)))
        else:
            ours = functools.partial(
                complete_json,
                broken.openai,
                flaky_small,
                ticket,
                schema=Triage.model_json_schema(),
                parse=Triage.model_validate_json,
                **limits,
            )
            row.append(outcome(lambda ours=ours: f"{(got := ours()).value} after {got.attempts}"))
    rows.append(row)
pd.DataFrame(rows, columns=["what happened", "inherited: json.loads(reply)", "yours: complete_json"]).set_index(
    "what happened"
)

# %% [markdown]
# ### Side lab (no points): the Responses API
# OpenAI's newer endpoint renames the same ideas: `input` and `instructions`, `output_text`, `status` instead of `finish_reason`. Only the adapter would change: a thin layer that owns the vocabulary makes a provider replaceable.

# %%
answer = client.responses.create(
    model=card.name,
    instructions="Answer from the context.",
    input=incident_prompt[0]["content"],
    temperature=0,
    max_output_tokens=100,
)
print(answer.status, "·", answer.output_text)
cut = client.responses.create(model=card.name, input=incident_prompt[0]["content"], temperature=0, max_output_tokens=16)
print(cut.status, "·", cut.incomplete_details)

# %%
chat_reply = create(
    messages=[{"role": "system", "content": "Answer from the context."}, *incident_prompt],
    temperature=0,
    max_tokens=100,
)
pd.DataFrame(
    [
        [answer.usage.input_tokens, answer.usage.output_tokens, answer.status],
        [chat_reply.usage.prompt_tokens, chat_reply.usage.completion_tokens, chat_reply.choices[0].finish_reason],
    ],
    index=["responses", "chat.completions"],
    columns=["input tokens", "output tokens", "how it says that it is done"],
)

# %% [markdown]
# ## 5 · Freeze the decision: temperature and output limit
# The evidence: two golden development questions of each kind, four samples each, at three temperatures. Does variety buy quality? How long is an answer that ended by itself?


# %%
def fitting_prompt(question: str, reserve: int) -> tuple[list[dict[str, str]], list[str]]:
    """The inherited prompt with as many documents as leave `reserve` tokens of the window for the reply."""
    for k in range(settings.retrieval_k, -1, -1):
        prompt, ranked_ids = build_prompt(question, k)
        if count_chat(prompt, count_text) + reserve <= settings.context_window_tokens:
            return prompt, ranked_ids
    raise ValueError(f"the question alone leaves no {reserve} tokens for a reply")


questions = library.sample(per_category=2, split="dev")  # two of each of the ten categories
prompts = {item.id: fitting_prompt(item.text, 600)[0] for item in questions}
answerable = [item for item in questions if item.category != "unanswerable"]
rows, lengths = [], {}
for temperature in (0.0, 0.5, 1.0):
    right, stable, spent, lengths[temperature] = 0, 0, 0.0, []
    for item in questions:
        reply = create(messages=prompts[item.id], temperature=temperature, n=4, max_tokens=600)
        texts = [choice.message.content for choice in reply.choices]
        stable += len(set(texts)) == 1
        lengths[temperature] += [count_text(text) for text in texts]
        per_asking = TokenUsage(reply.usage.prompt_tokens, reply.usage.completion_tokens // 4)
        spent += cost_usd(small, per_asking) / len(questions) * 1000
        right += sum(scoreboard.states_key_facts(text, item.key_facts) for text in texts) if item in answerable else 0
    p95 = np.percentile(lengths[temperature], 95)
    rows.append(
        [temperature, right / len(answerable) / 4, stable / len(questions), p95, max(lengths[temperature]), spent]
    )
evidence = pd.DataFrame(
    rows,
    columns=[
        "temperature",
        "answered correctly",
        "same answer 4 of 4",
        "output tokens p95",
        "output tokens max",
        "USD / 1,000 questions",
    ],
)
evidence.set_index("temperature").round(3)

# %%
figure, axes = plt.subplots()
axes.plot(evidence["temperature"], evidence["answered correctly"], marker="o", label="answered correctly")
axes.plot(evidence["temperature"], evidence["same answer 4 of 4"], marker="s", label="same answer 4 of 4")
axes.set(xlabel="temperature", ylabel="share of dev questions", ylim=(0, 1.05), title="What variety buys")
axes.legend()
plt.show()

# %% [markdown]
# For answers that people act on, the temperature that repeats itself wins, unless another is clearly *more often right*. The limit is a fuse: above the longest sane answer. Change the numbers if your table says so.

# %% nbgrader={"grade": false, "grade_id": "m01-decision", "locked": false, "schema_version": 3, "solution": false, "task": false}
#| export llm.py
TEMPERATURE = 0.0  # frozen in m01: repeatable answers
MAX_OUTPUT_TOKENS = 256  # frozen in m01: a fuse above the longest answer that ended by itself

# %%
environ |= {"ASSISTANT_TEMPERATURE": str(TEMPERATURE), "ASSISTANT_MAX_OUTPUT_TOKENS": str(MAX_OUTPUT_TOKENS)}
settings = load_settings(environ)


def assistant(question: str, temperature: float, limit: int) -> scoreboard.Answer:
    """The inherited retrieval and prompt, behind the new client."""
    stages = scoreboard.Stages()
    with stages("retrieve"):
        prompt, ranked_ids = fitting_prompt(question, limit)
    with stages("generate"):
        reply = complete(
            client, small, prompt, temperature=temperature, max_output_tokens=limit, timeout_s=settings.timeout_s
        )
    tokens = reply.usage.input_tokens + reply.usage.output_tokens
    return scoreboard.Answer(reply.text, ranked_ids, reply.cost_usd, tokens, stages.ms)


def measured(temperature: float, limit: int) -> scoreboard.Row:
    asked = scoreboard.questions(library)
    return scoreboard.row(scoreboard.judge(lambda item: assistant(item.text, temperature, limit), asked), library)


rows = {"before": measured(1.0, 600), "after": measured(settings.temperature, settings.max_output_tokens)}
scoreboard.record(MODULE, rows["after"])
display(scoreboard.table({name: vars(row) for name, row in rows.items()}).round(4))
scoreboard.table().round(4)

# %% [markdown]
# Soberly: the client made the system repeatable, bounded and accountable. It did not make it right; that begins with what retrieval puts into the prompt.
#
# ## 6 · The incident again
# Same question, same prompt, same number of askings.


# %%
def ask_again(_: int) -> str:
    return complete(
        client, small, incident_prompt, temperature=settings.temperature, max_output_tokens=settings.max_output_tokens
    ).text


after = tally([ask_again(number) for number in range(ASKINGS)])
wrong_after = int(after.loc[~after["states the limit (10)"], "times"].sum())
per_question = complete(
    client, small, incident_prompt, temperature=settings.temperature, max_output_tokens=settings.max_output_tokens
)
pd.DataFrame(
    [
        [len(before), wrong_before, "unknown", f"refused at turn {last_turn + 1}"],
        [len(after), wrong_after, f"{per_question.cost_usd * 1000:.3f}", f"{len(turns)} turns and counting"],
    ],
    index=["before", "after"],
    columns=[f"different replies of {ASKINGS}", "without the right limit", "USD / 1,000 askings", "long chat"],
)

# %% [markdown]
# ## What to take with you
# 1. Tokens are the unit of price, limit and latency; count them with the model's own tokenizer.
# 2. A window is a budget with a policy; what falls out never happened, and the middle is read worst.
# 3. A reply is one draw; temperature and top-p reshape the distribution, a seed repeats the draw.
# 4. No `finish_reason` "stop", no answer: the worst failure is a 200.
# 5. JSON is a contract only after validation; one repair, then fail loudly.
#
# **When not to do this.** Brainstorming, paraphrases and test data want variety: there temperature 0 is the bug.
#
# **On call, 03:10.** Cost per day has doubled; traffic is flat, errors are zero. What do you look at first?
# <details><summary>One good answer</summary>Tokens per request, input and output apart. Input up: history or passages have grown, or another language arrived. Output up: a limit was lifted, or repairs have become frequent (attempts per structured call).</details>
#
# **Primary sources.** Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units" (ACL 2016) · Liu et al., "Lost in the Middle" (TACL 2024)
