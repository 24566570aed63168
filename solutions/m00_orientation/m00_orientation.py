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

# %% [markdown]
# # The system you inherit
#
# An engineering assistant answers on-call questions at Harborline, a logistics platform. It was built in a week by somebody who has left, and it is yours now. You meet it on a bad morning, measure it once from end to end, and write the first file of its replacement.
#
# *About 60 minutes. You write `settings.py`. Nothing here costs money or leaves this computer.*

# %% tags=["parameters"]
MODULE = "m00_orientation"
SEED = 7
REPEATS = 2  # askings per golden question in section 5

# %%
# %load_ext coursekit

# %% nbgrader={"grade": false, "grade_id": "m00-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import os
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import openai
import pandas as pd
import psycopg
from IPython.display import Markdown, display
from pgvector.psycopg import register_vector

from coursekit import corpus, models, plots, scoreboard
from coursekit.checks import Check, CheckFailed

plots.use_style()

# %% [markdown]
# ## 1 · The incident
#
# **Monday, 08:40.** A customer's webhook endpoint was down on Saturday. Support asked the assistant how often a failed delivery is retried, got a number at once, and told the customer to re-import everything older. The webhook service went on delivering, as its policy says, and hundreds of parcels were booked twice.
#
# No alert fired: every request had returned 200. This is the whole system, first its index, then a question's path through it.


# %%
def say(*sentences):
    display(Markdown(" ".join(sentences)))


@cache
def client_of(base_url, api_key):
    return models.client(base_url=base_url, api_key=api_key)


def embed(texts, config):
    """Texts to unit vectors; texts that mean alike get vectors that point alike. Returns vectors and billed tokens."""
    client = client_of(config.base_url, config.api_key)
    reply = client.embeddings.create(model=config.embedding_model, input=texts)
    return [np.array(item.embedding) for item in reply.data], reply.usage.prompt_tokens


def build_index(documents, config):
    """Embed every document once, whole, and store it: the id, the text, the vector, nothing else."""
    texts = [document.text for document in documents]
    batches = [texts[start : start + 32] for start in range(0, len(texts), 32)]  # small enough to answer in time
    vectors = [vector for batch in batches for vector in embed(batch, config)[0]]
    db.execute("DROP TABLE IF EXISTS m00_documents")
    db.execute(f"CREATE TABLE m00_documents (id text PRIMARY KEY, body text, vector vector({len(vectors[0])}))")
    rows = [(document.id, document.text, vector) for document, vector in zip(documents, vectors, strict=True)]
    with db.cursor() as cursor:
        cursor.executemany("INSERT INTO m00_documents VALUES (%s, %s, %s)", rows)


# %%
config = SimpleNamespace(
    database_url=os.environ["DATABASE_URL"],
    base_url=os.environ["OPENAI_BASE_URL"],
    api_key=os.environ["OPENAI_API_KEY"],
    chat_model=models.role("small").name,
    embedding_model=models.role("embedding").name,
    retrieval_k=2,
)
library = corpus.load()
db = psycopg.connect(config.database_url, autocommit=True, connect_timeout=5)
register_vector(db)
build_index(library.documents, config)

# %%
SEARCH = "SELECT id, body, 1 - (vector <=> %s) FROM m00_documents ORDER BY vector <=> %s LIMIT 10"


@contextmanager
def stage(trace, name):
    """Time one stage of a question's path; an error is noted under the stage's name and passed on."""
    start = time.perf_counter()
    try:
        yield
    except Exception as error:
        trace["error"] = f"{name}: {type(error).__name__}: {error}"
        raise
    finally:
        trace["ms"][name] = round((time.perf_counter() - start) * 1000, 1)


def ask(question, config):
    """Answer one question and leave a trace. The first error ends the path."""
    trace = {"question": question, "config": vars(config), "found": [], "answer": "", "error": ""}
    trace |= {"ms": {}, "tokens": {}}
    with suppress(openai.APIError, psycopg.Error):
        with stage(trace, "embed"):
            (vector,), trace["tokens"]["embed"] = embed([question], config)
        with stage(trace, "search"):
            rows = db.execute(SEARCH, (vector, vector)).fetchall()
        trace["found"] = [(name, round(similarity, 3)) for name, _, similarity in rows]
        pasted = "\n\n".join(f"[{name}]\n{body}" for name, body, _ in rows[: config.retrieval_k])
        prompt = f"Answer the question from these documents, in at most 60 words.\n\n{pasted}\n\nQuestion: {question}\nAnswer:"
        messages = [{"role": "user", "content": prompt}]
        with stage(trace, "generate"):
            client = client_of(config.base_url, config.api_key)
            reply = client.chat.completions.create(model=config.chat_model, messages=messages)
        trace["answer"] = reply.choices[0].message.content
        trace["tokens"] |= {"input": reply.usage.prompt_tokens, "output": reply.usage.completion_tokens}
    return trace


# %%
incident = next(question for question in library.golden if question.id == "q013")
askings = [ask(incident.text, config) for _ in range(5)]  # replies are sampled: find Monday's among a few
trace = max(askings, key=lambda asking: any(fact in asking["answer"] for fact in incident.wrong_facts))
say(f"> **Support:** {incident.text}\n>\n> **Assistant:** {trace['answer'].replace('*', '')}")

# %% [markdown]
# Fluent, short, and wrong. The trace keeps the search result; put the documents' front matter beside it, which the system never stored. Grade 2 means that a person judged: this document answers the question.


# %%
def front_matter(name, similarity):
    document = library.document(name)
    grade = library.qrels[incident.id].get(name, 0)
    return name, similarity, document.updated, document.superseded_by or "", grade


columns = ["document", "similarity", "updated", "superseded by", "grade"]
found = pd.DataFrame([front_matter(*hit) for hit in trace["found"][:4]], columns=columns)
found.set_axis(range(1, len(found) + 1)).rename_axis("rank")

# %%
right = library.document(incident.passage.document)
outdated = library.document(right.supersedes)
say(
    f"The answer stands in `{right.id}`, at **rank {[name for name, _ in trace['found']].index(right.id) + 1}**, in the line",
    f"`{incident.passage.quote.replace('`', '')}`. `{outdated.id}` is",
    f"{(right.updated - outdated.updated).days} days older and uses the very words of the question; its replacement hides",
    "the number in a table. The index kept neither dates nor `superseded_by`, so nobody downstream could know.",
)

# %% [markdown]
# The model copied what it was handed. The cause lies two stages earlier, at ingestion, where a field was dropped. That is the subject of this course: **an AI system is a pipeline, and each stage needs instruments, an evaluation and a fallback.** You will rebuild every box; today's is filled.

# %%
figure = plots.architecture(today=["settings"])

# %% [markdown]
# ## 2 · How this course talks to you
#
# You write functions; *checks* call them and compare. Here is a harmless one, worth no points, about a price of *0.15 USD per million tokens*. It is wrong. Read the check's message before you read the code again.


# %%
def usd_per_1000_questions(tokens_per_question, usd_per_million_tokens):
    return tokens_per_question * usd_per_million_tokens


try:
    with Check("m00-warm-up") as check:
        check.call(usd_per_1000_questions, 500, 0.15).equals(
            0.075,
            tolerance=1e-9,
            problem="wrong unit",
            why="1,000 questions of 500 tokens are half a million tokens: half of 0.15 USD",
            hint="how many tokens do 1,000 questions need, and in which unit is the price?",
        )
except CheckFailed as failure:  # caught only here, so that the notebook can go on
    print(failure)

# %% [markdown]
# The first line names the check and the kind of mistake. `called` is the call, ready to paste. `expected` and `got` are the difference to explain, `why` the arithmetic for this very case, and `try` a nudge, never the code. Repair the function and run the cell again: `✓ … public checks passed`.
#
# That sentence means what it says. Graded checks also hold **hidden tests**: other inputs, the same five lines, values withheld. You see the public part; `./course check m00`, in a terminal, grades as the grader will, and `./course status` shows your points.
#
# A cell that starts with `#| export settings.py` becomes part of *your* package as it runs: watch for the arrow, then look into `workspace/assistant/settings.py`. Later notebooks import your file once its checks pass, and the reference until then. Every exercise folds three hints. The file's beginning is given:

# %% nbgrader={"grade": false, "grade_id": "m00-settings-header", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export settings.py
"""The assistant's configuration: read once from the environment, validated as a whole, replaceable while it runs.

The twelve-factor app (Wiggins 2011), "III. Config": what differs between deployments lives in the environment.
Functions over a mapping: this file reads no other file, opens no connection and holds no global state.
"""

import difflib
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Generic, TypeVar
from urllib.parse import unquote_plus

MASK = "***"
SECRET_PARAMETERS = frozenset({"password", "sslpassword", "passfile", "api_key", "apikey", "token", "secret"})
PREFIX = "ASSISTANT_"


class SettingsError(ValueError):
    """The configuration cannot be used. One line of the message per problem, each saying how to fix it."""

    def __init__(self, *problems: str) -> None:
        self.problems = tuple(line for problem in problems for line in problem.splitlines())
        super().__init__("\n".join(self.problems))


# %% [markdown]
# ## 3 · Read the trace
#
# Each question leaves a plain dictionary behind. Read it once, as you would read a request log that you did not design.

# %%
{key: value for key, value in trace.items() if key != "found"}

# %% [markdown]
# `config` is in there, with key and database URL: whatever ships these traces ships credentials. You repair that first.
#
# `tokens` says what was *billed*, not what was *read*. Test it: give a document two different endings, embed both and compare. A similarity of 1 means the same vector: the ending made no difference.

# %%
guess_shortest, guess_longest = 0.80, 0.90  # a colleague's guesses: write yours before you run this cell

by_length = sorted(library.documents, key=lambda document: len(document.text))
ends = [by_length[0], by_length[-1]]
endings = ["\n\nCorrection: all of the above is wrong.", "\n\nThe canteen opens at noon."]
pairs = [embed([document.text + ending for ending in endings], config)[0] for document in ends]
axes = plots.guess_and_measurement(
    [f"{len(document.text.split())} words: {document.id}" for document in ends],
    [guess_shortest, guess_longest],
    [float(first @ second) for first, second in pairs],
    unit="cosine similarity",
    title="One document with two endings: how alike are the vectors?",
)

# %%
window = models.role("embedding").context_window
billed = pd.Series({document.id: embed([document.text], config)[1] for document in library.documents}).sort_values()
tokens = pd.DataFrame({"inside the window": billed.clip(upper=window), "beyond it": (billed - window).clip(lower=0)})
plt.stackplot(
    range(1, len(tokens) + 1), tokens.T.to_numpy(), labels=tokens.columns, colors=[plots.BLUE, plots.ORANGE], step="mid"
)
plt.gca().set(xlabel="documents, shortest first", ylabel="tokens, as billed", xlim=(1, len(tokens)))
plt.title(f"What the index knows of each document (window: {window} tokens)")
plt.legend(loc="upper left", fontsize=8.5)
plt.show()
say(
    f"**{(billed > window).sum()} of {len(billed)} documents** are longer than the embedding model's window; about",
    f"**{tokens['beyond it'].sum() / billed.sum():.0%} of all tokens** are paid for, never read, and in no search. No error,",
    "no warning. (Tokenizers count differently: an estimate.) Module 2 answers with chunks.",
)

# %% [markdown] nbgrader={"grade": false, "grade_id": "m00-redact-goal", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Exercise 1 · A URL that is safe to log
#
# *5 minutes · difficulty 1 of 3 · 3 points.* **Why production cares:** the code that prints a URL is usually an error handler. It must not leak, and it must not fail itself.
#
# **Contract.** `redact_url` replaces the password in `scheme://user:password@host`, and the values of query parameters named in `SECRET_PARAMETERS` (any case), by `MASK`. User, port, order and escapes stay; text without a secret comes back unchanged. People paste passwords with unescaped `@ / ? #`, connection strings that are no URLs, half a line (`app:s3cret@db`, `http://sam:s3cret`): then hide too much rather than too little, and never raise.
#
# **By hand.** `http://sam:s3cret@models:80/v1` → `http://sam:***@models:80/v1`
#
# <details><summary>Hint 1: where to look</summary>RFC 3986, section 3.2: where does the authority end, and what separates user and host?</details>
# <details><summary>Hint 2: the idea</summary>Cut at fixed marks and change only the pieces that hold secrets. Parsing and re-assembling changes escapes; replacing the password's text hits users of the same name.</details>
# <details><summary>Hint 3: pseudocode</summary>
#
#     no "://", or no scheme in front of it -> only the mask
#     authority, rest <- split at the first of / ? #
#     an @ in the rest could end a password -> scheme and mask
#     no @ at all, and something after a colon that is no port -> scheme and mask
#     user, password  <- before the LAST @ of the authority, at its FIRST colon
#     each name=value of the query -> mask the value of a secret name
# </details>


# %% nbgrader={"grade": false, "grade_id": "m00-redact", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export settings.py
def redact_url(url: str) -> str:
    """Make a database or endpoint URL safe to log.

    Args:
        url: any text that should have been a URL; passwords may be unescaped.

    Returns:
        `url` with the password and the values of SECRET_PARAMETERS replaced by MASK, everything else unchanged.
        Text in which the secret cannot be located for certain keeps at most its scheme.

    Raises:
        Nothing: it runs inside error handlers.

    Source: RFC 3986, section 3.2.1 (userinfo).

    >>> redact_url("postgresql://app:hunter2@db:5432/assistant")
    'postgresql://app:***@db:5432/assistant'
    """
    ### BEGIN SOLUTION
    scheme, separator, rest = url.partition("://")
    if not separator or not all(mark.isalnum() or mark in "+.-" for mark in scheme):
        return MASK
    end = min((rest.index(mark) for mark in "/?#" if mark in rest), default=len(rest))
    authority, tail = rest[:end], rest[end:]
    if ":" in authority and "@" in tail:  # an unescaped / ? or # inside the password ends the authority too early
        return f"{scheme}://{MASK}"
    userinfo, at, host = authority.rpartition("@")
    ports = [part.rpartition("]")[2].partition(":")[2] for part in host.split(",")]
    if not at and any(port and not port.isdecimal() for port in ports):  # half a line: a password, its host cut off
        return f"{scheme}://{MASK}"
    user, colon, _ = userinfo.partition(":")
    path, question, query = tail.partition("?")
    pairs = [pair.partition("=") for pair in query.split("&")]
    masked = "&".join(
        name + equals + (MASK if unquote_plus(name).lower() in SECRET_PARAMETERS else value)
        for name, equals, value in pairs
    )
    return f"{scheme}://{user}{colon}{MASK if colon else ''}{at}{host}{path}{question}{masked}"
    ### END SOLUTION


# %%
for url in [config.database_url, "postgresql://app:hunter2@db:5432/a?sslmode=require", "postgresql://app:a/b@db/a"]:
    print(redact_url(url))

# %% nbgrader={"grade": true, "grade_id": "m00-redact-basic", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
with Check("m00-redact-basic") as check:
    check.call(redact_url, "postgresql://app:hunter2@db:5432/assistant").equals(
        "postgresql://app:***@db:5432/assistant",
        problem="password not masked",
        why="what stands between the user's colon and the @ is the password; user, host and port help whoever reads the log",
        hint="look at the part between :// and the next slash",
    )
    check.call(redact_url, "http://models.internal:8080/v1?user=sam").equals(
        "http://models.internal:8080/v1?user=sam",
        problem="a URL without a secret was changed",
        why="8080 is a port: there is no @ after it, and `user` is not in SECRET_PARAMETERS",
        hint="a colon means a password only in front of an @",
    )
    check.call(redact_url, "postgresql://postgres:postgres@db/postgres").equals(
        "postgresql://postgres:***@db/postgres",
        problem="more than the password was masked",
        why="user, password and database may be the same word; only the password's place counts",
        hint="mask by position, not by value",
    )
    check.call(redact_url, "postgresql:///a?host=/run/pg&Password=hunter2&options=-c%20x%3D1").equals(
        "postgresql:///a?host=/run/pg&Password=***&options=-c%20x%3D1",
        problem="wrong query",
        why="Postgres accepts the password as a parameter; the others keep their order and their escapes",
        hint="compare names without regard to case, and leave every other pair as it was typed",
    )
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        reason = "only the secrets' places may change"
        nudge = "work the contract's sentences through with a URL of your own"
        for url, expected in {
            "redis://:s3cret@cache:6379/0": "redis://:***@cache:6379/0",
            "https://sam:Zk9-x@models.internal/v1": "https://sam:***@models.internal/v1",
            "https://models.internal/v1?API_KEY=Zk9&limit=5": "https://models.internal/v1?API_KEY=***&limit=5",
            "postgresql://app@db/app": "postgresql://app@db/app",
            "postgresql://db:db@db:5432/db?token=db&application_name=a+b": (
                "postgresql://db:***@db:5432/db?token=***&application_name=a+b"
            ),
            "postgresql:///a?sslpassword=Zk9&passfile=Zk9&apikey=Zk9&Secret=Zk9&x=1": (
                "postgresql:///a?sslpassword=***&passfile=***&apikey=***&Secret=***&x=1"
            ),
            "https://models.internal/v1?limit_token=5&password_hint=x": (
                "https://models.internal/v1?limit_token=5&password_hint=x"
            ),
            "https://models.internal/v1?cursor=ab==&token=Zk9==&token=Zk8": (
                "https://models.internal/v1?cursor=ab==&token=***&token=***"
            ),
            "HTTPS://Sam%40Corp:Zk9@Models.Internal/V1#Top": "HTTPS://Sam%40Corp:***@Models.Internal/V1#Top",
            "postgresql+psycopg://app:Zk9@db:5432/a": "postgresql+psycopg://app:***@db:5432/a",
            "http://[::1]:8080/v1?": "http://[::1]:8080/v1?",
        }.items():
            check.call(redact_url, url).equals(expected, why=reason, hint=nudge)
    ### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "m00-redact-edge", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
with Check("m00-redact-edge") as check:
    for url in [
        "postgresql://app:left@right@db/assistant",
        "postgresql://app:left/right@db/assistant",
        "postgresql://app:left#right@db/assistant",
        "host=db user=app password=left-right",
        "http://app:leftright@[::1/v1",
        "postgresql://app:left-right",
    ]:
        check.call(redact_url, url).satisfies(
            lambda text: isinstance(text, str) and "left" not in text and "right" not in text,
            expected="text without any part of the password (left, right), and no exception",
            problem="part of a password is readable",
            why="a password with unescaped marks moves the place where a parser sees the URL's parts end",
            hint="when the parts do not fit together, hide everything behind the scheme",
        )
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        reason = "unescaped marks and unknown formats must not reveal anything, and must not raise"
        nudge = "which marks can a password contain, and what does your code take them for?"
        for url in [
            "postgresql://app:left?right@db/a",
            "postgresql://app:left:right@db/a",
            "postgresql://app:left@x/right@db/a",
            "https://app:left%40right@[::1",
            "postgresql://app:left/right@db1:5432,db2:5432/a?sslmode=require",
            "user=app password='left right' host=db",
            "host=db password=left-right fallback=http://models.internal",
            "Server=db;Uid=app;Pwd=left;",
            "app:left@db:5432/a",
            "postgresql://app@db/a?password=left#right",
        ]:
            check.call(redact_url, url).satisfies(
                lambda text: isinstance(text, str) and "left" not in text and "right" not in text,
                expected="nothing of the secret",
                problem="part of a secret is readable",
                why=reason,
                hint=nudge,
            )
        for url in ["", "http://", "http://[::1", "://", "\n", "postgresql://app@db1:5432,db2:5433/a"]:
            check.call(redact_url, url).satisfies(
                lambda text: isinstance(text, str), expected="text", why="it runs inside error handlers", hint=nudge
            )
        masked = redact_url("postgresql://app:left@db/a?password=left")
        check.call(redact_url, masked).equals(masked, why="a masked URL has no secret left", hint=nudge)
    ### END HIDDEN TESTS

# %% [markdown]
# One URL untouched, one password masked, one URL reduced to its scheme. Without this, the first failed connection writes the password into the log aggregator, for as long as your retention policy says.
#
# ## 4 · One question, twenty answers
#
# Nobody set a temperature, so the endpoint's default applies and replies are *sampled*. Ask the incident's question twenty times. How many answers give the outdated number, how many the right one?

# %%
guess_outdated, guess_right = 18, 2  # of 20: a colleague's guesses, write yours


def kind_of(question, text):
    """What an answer says, judged by the golden question's facts."""
    if scoreboard.is_right(question, text):
        return "right"
    if any(scoreboard.states_key_facts(text, [[fact]]) for fact in question.wrong_facts):
        return "outdated"
    return "abstains" if scoreboard.abstains(text) else "something else"


kinds = ["outdated", "right", "abstains", "something else"]
askings = [ask(incident.text, config)["answer"] for _ in range(20)]
before = Counter(kind_of(incident, text) for text in askings)
guesses, measured = [guess_outdated, guess_right, None, None], [before[kind] for kind in kinds]
axes = plots.guess_and_measurement(
    kinds, guesses, measured, unit="answers of 20", title="One question, asked twenty times"
)
plt.show()
for text, count in Counter(askings).most_common(3):
    say(f"**{count}×** {text[:260].replace('*', '')}")
has_right = right.id in [name for name, _ in trace["found"][: config.retrieval_k]]
say(f"All {len(askings)} prompts were the same, and the right document was {'in' if has_right else 'in none of'} them.")

# %% [markdown]
# One prompt, several answers: a single run says little about a sampled system, so measure distributions. And nothing raises when the text makes no sense: module 1 tames sampling, module 6 checks answers against their sources.
#
# ## 5 · The whole system, once
#
# One incident is an anecdote. **Golden questions** come with judged documents and the facts that a right answer states; you work on the `dev` half. A failure belongs to the earliest stage that explains it:
#
# - *error*: a stage raised, and nobody got an answer;
# - *should have abstained*: there is no answer for this asker, and the system gave one;
# - *retrieval*: a document that the answer needs was not in the prompt;
# - *generation*: everything needed was there, and the answer is wrong.
#
# A slogan says that nine failures in ten are retrieval failures. Here, too?

# %%
dev = library.sample(per_category=2, split="dev")  # two of each of the ten categories


def verdict(question, trace):
    """`right`, or the earliest stage that explains a wrong answer."""
    pasted = {name for name, _ in trace["found"][: trace["config"]["retrieval_k"]]}
    if trace["error"]:
        return "error"
    if scoreboard.is_right(question, trace["answer"]):
        return "right"
    if not question.answerable:
        return "should have abstained"
    return "generation" if {passage.document for passage in question.passages} <= pasted else "retrieval"


def evaluate(config, repeats=1):
    """Ask the dev questions; one row per asking: the golden question, the trace, the verdict."""
    traces = [(question, ask(question.text, config)) for question in dev for _ in range(repeats)]
    return pd.DataFrame(
        [{"golden": question, "verdict": verdict(question, trace), **trace} for question, trace in traces]
    )


# %%
guess_correct, guess_retrieval, guess_abstained = 60, 90, 50  # percent: a colleague's guesses, write yours

baseline = evaluate(config, repeats=REPEATS)
is_answerable = baseline["golden"].map(lambda question: question.answerable)
verdicts = baseline["verdict"]
failed = verdicts[is_answerable & (verdicts != "right")]
axes = plots.guess_and_measurement(
    ["answered correctly", "of these failures: retrieval", "abstained rightly"],
    [guess_correct, guess_retrieval, guess_abstained],
    [
        100 * hits.mean()
        for hits in (verdicts[is_answerable] == "right", failed == "retrieval", verdicts[~is_answerable] == "right")
    ],
    unit="percent",
    title="The inherited system on the golden dev questions",
)

# %%
colours = {"right": plots.GREEN, "retrieval": plots.BLUE, "generation": plots.ORANGE}
colours |= {"should have abstained": plots.RED, "error": plots.GREY}
categories = baseline["golden"].map(lambda question: question.category).rename("category")
outcomes = 100 * pd.crosstab(categories, verdicts, normalize="index").reindex(columns=list(colours), fill_value=0)
axes = outcomes.plot.barh(stacked=True, figsize=(7.2, 4), color=list(colours.values()), width=0.7)
axes.set(xlabel="percent of the answers", ylabel="", title="Where answers end, by category of question")
axes.legend(loc="upper center", bbox_to_anchor=(0.42, -0.16), ncols=5, fontsize=8)
plt.show()

# %%
retrieval = (failed == "retrieval").sum()
say(
    f"Of {len(failed)} failed answers to answerable questions, **{retrieval} lacked a document that they needed** and",
    f"{(failed == 'generation').sum()} had everything; by the slogan, {0.9 * len(failed):.0f} would be retrieval's. The kinds",
    "stack: no model can repair the first, and better retrieval does not repair the second.",
    f"With {len(dev)} questions, a few answers more or less are noise; module 5 puts intervals on such claims.",
)
for kind, group in baseline[verdicts != "right"].groupby("verdict"):
    golden, text = group.iloc[0]["golden"], group.iloc[0]["answer"] or group.iloc[0]["error"]
    say(
        f"**{kind}** · *{golden.text}*<br>says: {text[:200].replace('*', '')}<br>should: {golden.reference_answer[:200]}"
    )

# %% [markdown]
# Read the failures, not only the bars. The prompt never allows "I don't know", so there is always an answer, in the same confident tone, even from a document that this asker may not read.
#
# ## 6 · What it costs, in time and money
#
# The same traces say which stage takes the time and which part pays the bill. Guess the price of 1,000 questions.

# %%
guess_usd = 1.00  # USD per 1,000 questions: a colleague's guess, write yours


def usd(trace, config):
    """What one question cost, in USD, by part."""
    price = {models.role(name).name: models.role(name) for name in ("small", "large", "embedding")}
    chat, tokens = price[config.chat_model], {"embed": 0, "input": 0, "output": 0} | trace["tokens"]
    return {
        "embedding": tokens["embed"] * price[config.embedding_model].usd_per_million_input / 1e6,
        "prompt": tokens["input"] * chat.usd_per_million_input / 1e6,
        "answer": tokens["output"] * chat.usd_per_million_output / 1e6,
    }


costs = 1000 * pd.DataFrame([usd(row, config) for _, row in baseline.iterrows()]).mean()
parts, values = ["all", *costs.index], [costs.sum(), *costs]
axes = plots.guess_and_measurement(
    parts, [guess_usd, None, None, None], values, unit="USD", title="The price of 1,000 questions"
)
plt.show()
pd.DataFrame(list(baseline["ms"])).quantile([0.5, 0.95]).T.set_axis(["p50 ms", "p95 ms"], axis=1).round(1)

# %% [markdown]
# The prompt pays nearly everything, and most of the prompt is documents that somebody chose to paste: `retrieval_k` is a price tag. The times are this computer's. Simulated models do not think; behind a real endpoint, `generate` dwarfs the rest.
#
# That `2` in `config` was never a decision. Before you make it one, the system needs a safe way to read numbers.

# %% [markdown] nbgrader={"grade": false, "grade_id": "m00-number-goal", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Exercise 2 · A number from the environment
#
# *8 minutes · difficulty 1 of 3 · 5 points.* **Why production cares:** `float(os.environ["TIMEOUT"])` accepts `nan`, every comparison with NaN is false, and that timeout never fires. `30s` dies with a traceback that names no variable.
#
# **Contract.** Missing, empty or blank text gives `default`. White space around a number is ignored. `2.5` and `1e3` are numbers; `nan`, `inf` and `1_000` are not (a shell script that reads the same variable would disagree about the last). Bounds are inclusive. Anything else raises `SettingsError` with variable, text, both bounds and unit in the message.
#
# **By hand.** `{"K": " 7 "}` with bounds 1 and 50 → `7.0`; `{"K": "70"}` → `K='70' is not a number from 1 to 50 (documents): correct or unset it.`
#
# <details><summary>Hint 1: where to look</summary>The documentation of `float()`: which spellings does it accept that you would not want in a configuration?</details>
# <details><summary>Hint 2: the idea</summary>One path for "absent", one for "finite and within bounds", one error for the rest, so that no odd input finds a gap between two conditions.</details>
# <details><summary>Hint 3: pseudocode</summary>
#
#     text  <- the variable without white space; nothing left -> the default
#     value <- text as a number, unless it has a digit separator
#     finite and minimum <= value <= maximum -> the value
#     otherwise -> one error that names all five things
# </details>


# %% nbgrader={"grade": false, "grade_id": "m00-number", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export settings.py
def read_number(
    environ: Mapping[str, str], name: str, *, default: float, minimum: float, maximum: float, unit: str
) -> float:
    """Read one number from the environment.

    Args:
        environ: variable names to texts, as `os.environ`; not changed.
        name: the variable.
        default: the value when the variable is missing, empty or blank; in `unit`.
        minimum, maximum: inclusive bounds, in `unit`.
        unit: what one of it is, in words, for the error message.

    Returns:
        The finite value, in `unit`. Decimal and exponent notation are read ("0.5", "1e3"), digit separators are not.

    Raises:
        SettingsError: not such a number, or outside the bounds; names variable, text, bounds and unit.

    Source: The twelve-factor app, "III. Config".

    >>> read_number({"TIMEOUT_S": " 2.5 "}, "TIMEOUT_S", default=30, minimum=0.1, maximum=600, unit="seconds")
    2.5
    """
    ### BEGIN SOLUTION
    found = environ.get(name, "").strip()
    if not found:
        return float(default)
    try:
        value = math.nan if "_" in found else float(found)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or not minimum <= value <= maximum:
        allowed = f"a number from {minimum:g} to {maximum:g} ({unit})"
        raise SettingsError(f"{name}={found!r} is not {allowed}: correct or unset it.")
    return value
    ### END SOLUTION


# %%
for given in ["", "2.5", "1e2", "30s", "nan", "0"]:
    try:
        print(read_number({"TIMEOUT_S": given}, "TIMEOUT_S", default=30, minimum=0.1, maximum=600, unit="seconds"))
    except SettingsError as error:
        print(error)

# %% nbgrader={"grade": true, "grade_id": "m00-number-basic", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
with Check("m00-number-basic") as check:
    limits = {"default": 30, "minimum": 0, "maximum": 600, "unit": "seconds"}
    for environ, expected in [
        ({}, 30),
        ({"TIMEOUT_S": ""}, 30),
        ({"TIMEOUT_S": " 2.5\n"}, 2.5),
        ({"TIMEOUT_S": "1e2"}, 100),
        ({"TIMEOUT_S": "0"}, 0),
    ]:
        check.call(read_number, environ, "TIMEOUT_S", **limits).equals(
            expected,
            problem="wrong number",
            why="absent or empty means the default; any number within bounds, zero too, means itself",
            hint="decide absence by the text, before it becomes a number",
        )
    for text in ["0", "600"]:
        check.call(read_number, {"TIMEOUT_S": text}, "TIMEOUT_S", **limits).equals(
            float(text), problem="a bound was refused", why="bounds are inclusive", hint="look at your comparison"
        )
    for text in ["600.5", "-1", "30s"]:
        check.call(read_number, {"TIMEOUT_S": text}, "TIMEOUT_S", **limits).raises(
            SettingsError,
            mentions=("TIMEOUT_S", text, "600", "seconds"),
            why="whoever reads this at night needs variable, text, bounds and unit in one line",
            hint="build one message from the five arguments and the text",
        )
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        reason, nudge = "the contract holds for every name, bound and unit", "try other arguments than the visible ones"
        other = {"default": 0.25, "minimum": -1, "maximum": 1, "unit": "share"}
        cases = [
            ({"WEIGHT": "-1"}, -1),
            ({"OTHER": "1"}, 0.25),
            ({"WEIGHT": "1E-2"}, 0.01),
            ({"WEIGHT": "  "}, 0.25),
            ({"WEIGHT": "+.5"}, 0.5),
        ]
        for environ, expected in cases:
            check.call(read_number, environ, "WEIGHT", **other).equals(expected, why=reason, hint=nudge)
        for text in ["1.01", "-2", "0,5", "half"]:
            check.call(read_number, {"WEIGHT": text}, "WEIGHT", **other).raises(
                SettingsError, mentions=("WEIGHT", text, "-1", "share"), why=reason, hint=nudge
            )
    ### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "m00-number-edge", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
with Check("m00-number-edge") as check:
    limits = {"default": 3, "minimum": 1, "maximum": 500, "unit": "documents"}
    for text in ["nan", "inf", "1_00", "0x10"]:
        check.call(read_number, {"RETRIEVAL_K": text}, "RETRIEVAL_K", **limits).raises(
            SettingsError,
            mentions=("RETRIEVAL_K", text, "500", "documents"),
            problem="an odd spelling was accepted, or it escaped with another error",
            why="NaN is neither below a minimum nor above a maximum; separators mean other numbers to other programs",
            hint="ask what must be true of a good value instead of listing bad ones",
        )
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        reason, nudge = "only finite decimal numbers within bounds are values", "what does float() accept?"
        wide = {"default": 1, "minimum": 0, "maximum": float("inf"), "unit": "tokens"}
        for text in [
            "inf",
            "Infinity",
            "-inf",
            "NaN",
            "-nan",
            "1e999",
            "1_0",
            "True",
            "None",
            "1 000",
            "--1",
            "1,000",
            "50%",
            "'5'",
            "5f",
        ]:
            check.call(read_number, {"LIMIT_TOKENS": text}, "LIMIT_TOKENS", **wide).raises(
                SettingsError, mentions=("LIMIT_TOKENS",), why=reason, hint=nudge
            )
        check.call(read_number, {"LIMIT_TOKENS": "1e9"}, "LIMIT_TOKENS", **wide).equals(
            1e9, why="an open upper bound is a bound", hint=nudge
        )
        check.call(read_number, {"LIMIT_TOKENS": "\t"}, "LIMIT_TOKENS", **wide).equals(
            1, why="blank text is absent", hint=nudge
        )
        for default, minimum in [(0, 1), (float("inf"), 1)]:
            check.call(read_number, {}, "K", default=default, minimum=minimum, maximum=9, unit="texts").equals(
                default, why="absent means the default, whatever it is: bounds are for what people type", hint=nudge
            )
        narrow = {"default": 1, "minimum": 0.1, "maximum": 0.75, "unit": "seconds"}
        for text in ["0.05", "0.8"]:
            check.call(read_number, {"WAIT_S": text}, "WAIT_S", **narrow).raises(
                SettingsError,
                mentions=("WAIT_S", text, "0.1", "0.75"),
                why="bounds need not be whole, and the message names both",
                hint="what does your message say about a bound such as 0.5?",
            )
        environ = {"WAIT_S": " 0.25 ", "OTHER": "x"}
        for name in ["WAIT_S", "MISSING"]:
            read_number(environ, name, **narrow)
        check.observe("hidden", environ).equals(
            {"WAIT_S": " 0.25 ", "OTHER": "x"},
            problem="the environment was changed",
            why="the docstring promises not to: the process and its children read the same variables",
            hint="which of your calls take something out of a mapping, or put something in?",
        )
    ### END HIDDEN TESTS

# %% [markdown]
# Three values, three errors. Without this, a typo stops the process with a riddle or, worse, runs for weeks as a limit that never limits.
#
# ## 7 · Freeze a decision: how many documents?
#
# More documents in the prompt mean better recall, a higher bill and, at some point, a prompt beyond the model's context window: then the endpoint refuses. Sweep `k` and let traces decide, by a rule fixed beforehand: **the best recall without a refused request; on a tie, the cheaper setting.**


# %%
def recall(row):
    """Share of the needed documents that reached the prompt; NaN where the question has no answer."""
    needed = {passage.document for passage in row["golden"].passages}
    pasted = {name for name, _ in row["found"][: row["config"]["retrieval_k"]]}
    return len(needed & pasted) / len(needed) if needed else float("nan")


def summarise(k):
    chosen = SimpleNamespace(**{**vars(config), "retrieval_k": k})
    rows = [row for _, row in evaluate(chosen).iterrows()]
    return {
        "recall@k": np.nanmean([recall(row) for row in rows]),
        "refused": sum(row["verdict"] == "error" for row in rows),
        "right": sum(row["verdict"] == "right" for row in rows),
        "USD per 1,000": 1000 * np.mean([sum(usd(row, chosen).values()) for row in rows]),
        "p95 ms": np.percentile([sum(row["ms"].values()) for row in rows], 95),
    }


sweep = pd.DataFrame([summarise(k) for k in (1, 2, 3, 4, 6)], index=pd.Index([1, 2, 3, 4, 6], name="k"))
sweep.round(2)

# %%
axes = sweep["recall@k"].plot(marker="o", color=plots.BLUE, label="recall@k")
(sweep["refused"] / len(dev)).plot(ax=axes, marker="s", color=plots.RED, label="requests refused")
sweep["USD per 1,000"].plot(ax=axes, marker="^", color=plots.ORANGE, linestyle="--", label="USD per 1,000 questions")
axes.set(
    xlabel="k: documents in the prompt", ylabel="share, or USD", title="What one more document buys, and what it costs"
)
axes.set_ylim(bottom=0)
axes.legend(loc="upper left")
plt.show()
best_k = int(sweep["recall@k"][sweep["refused"] == 0].idxmax())  # the first, so the cheapest, of equals
greedy_k = int(sweep["recall@k"].idxmax())
best, greedy = sweep.loc[best_k], sweep.loc[greedy_k]
say(
    f"The rule picks **k = {best_k}**: recall {best['recall@k']:.2f} for {best['USD per 1,000']:.2f} USD per 1,000 questions.",
    f"k = {greedy_k} finds more ({greedy['recall@k']:.2f}), and {greedy['refused']:.0f} of {len(dev)} requests are refused: whole",
    f"documents do not fit. So the inherited number {'stays, now for a reason' if best_k == config.retrieval_k else 'goes'};",
    f"module 2 makes room. Right answers: {best['right']:.0f} of {len(dev)}, as a document in the prompt makes them possible, not certain.",
)

# %% [markdown]
# Write it down where the system reads it: a default that the environment can override.

# %% nbgrader={"grade": false, "grade_id": "m00-decision", "locked": false, "schema_version": 3, "solution": false, "task": false}
#| export settings.py
RETRIEVAL_K = 2  # documents pasted into the prompt: the best recall that never overflowed the context window

# %% [markdown]
# The next cell is given: every knob that this course will turn, with default, bounds and unit. Today only `retrieval_k` rests on evidence. Later modules freeze *values*, through `load_settings({**decision, **os.environ})`; this file stays as it is.


# %% nbgrader={"grade": false, "grade_id": "m00-settings-fields", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export settings.py
@dataclass(frozen=True)
class Variable:
    """How one environment variable is read. A unit makes it a number with inclusive bounds; without one it is text."""

    name: str
    unit: str = ""
    minimum: float = 0.0
    maximum: float = 0.0
    is_whole: bool = False
    schemes: tuple[str, ...] = ()
    is_secret: bool = False


def text_field(name: str, *, schemes: tuple[str, ...] = (), is_secret: bool = False, **options: Any) -> Any:
    """A text field read from `name`; required unless `options` gives a default; `schemes` make it a URL."""
    return field(metadata={"variable": Variable(name, schemes=schemes, is_secret=is_secret)}, **options)


def number_field(name: str, default: float, minimum: float, maximum: float, unit: str) -> Any:
    """A number field read from PREFIX + `name`; a whole default means that only whole numbers are allowed."""
    variable = Variable(PREFIX + name, unit, minimum, maximum, is_whole=isinstance(default, int))
    return field(default=default, metadata={"variable": variable})


@dataclass(frozen=True)
class Settings:
    """Everything that may differ between deployments. Each number is one decision of one module of the course."""

    database_url: str = text_field("DATABASE_URL", schemes=("postgresql", "postgres"))
    base_url: str = text_field("OPENAI_BASE_URL", schemes=("http", "https"))
    api_key: str = text_field("OPENAI_API_KEY", is_secret=True)
    chat_model: str = text_field("ASSISTANT_CHAT_MODEL")
    embedding_model: str = text_field("ASSISTANT_EMBEDDING_MODEL")
    large_model: str | None = text_field("ASSISTANT_LARGE_MODEL", default=None)
    tokenizer_file: str | None = text_field("ASSISTANT_TOKENIZER_FILE", default=None)

    retrieval_k: int = number_field("RETRIEVAL_K", RETRIEVAL_K, 1, 50, "documents")  # m00
    temperature: float = number_field("TEMPERATURE", 1.0, 0, 2, "on the API's scale")  # m01
    max_output_tokens: int = number_field("MAX_OUTPUT_TOKENS", 1024, 1, 32_768, "tokens")  # m01
    context_window_tokens: int = number_field("CONTEXT_WINDOW_TOKENS", 4096, 256, 2_000_000, "tokens")  # m01
    usd_per_million_input: float = number_field("USD_PER_MILLION_INPUT", 0.0, 0, 1000, "USD")  # m01
    usd_per_million_output: float = number_field("USD_PER_MILLION_OUTPUT", 0.0, 0, 1000, "USD")  # m01
    chunk_size_tokens: int = number_field("CHUNK_SIZE_TOKENS", 200, 16, 8192, "tokens")  # m02
    chunk_overlap_tokens: int = number_field("CHUNK_OVERLAP_TOKENS", 0, 0, 4096, "tokens")  # m02
    embedding_batch_size: int = number_field("EMBEDDING_BATCH_SIZE", 32, 1, 2048, "texts")  # m03
    ef_search: int = number_field("EF_SEARCH", 40, 1, 1000, "candidates")  # m03
    keyword_weight: float = number_field("KEYWORD_WEIGHT", 0.5, 0, 1, "share")  # m04
    candidate_k: int = number_field("CANDIDATE_K", 20, 1, 500, "chunks")  # m04
    context_budget_tokens: int = number_field("CONTEXT_BUDGET_TOKENS", 2000, 64, 1_000_000, "tokens")  # m06
    abstain_below: float = number_field("ABSTAIN_BELOW", 0.25, 0, 1, "similarity")  # m06
    timeout_s: float = number_field("TIMEOUT_S", 30.0, 0.1, 600, "seconds")  # m07
    deadline_s: float = number_field("DEADLINE_S", 60.0, 0.1, 3600, "seconds")  # m07
    max_attempts: int = number_field("MAX_ATTEMPTS", 1, 1, 10, "attempts")  # m07
    cache_threshold: float = number_field("CACHE_THRESHOLD", 1.0, 0, 1, "similarity")  # m08
    budget_usd_per_day: float = number_field("BUDGET_USD_PER_DAY", 10.0, 0, 100_000, "USD")  # m08
    trace_share: float = number_field("TRACE_SHARE", 1.0, 0, 1, "share of requests")  # m09
    agent_max_steps: int = number_field("AGENT_MAX_STEPS", 8, 1, 100, "steps")  # m10
    requests_per_minute: int = number_field("REQUESTS_PER_MINUTE", 60, 1, 100_000, "requests per key")  # m12

    def __repr__(self) -> str:
        return describe(self)


# %% [markdown] nbgrader={"grade": false, "grade_id": "m00-settings-goal", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Exercise 3 · Load everything, or say everything
#
# *15 minutes · difficulty 3 of 3 · 7 points.* **Why production cares:** one bad variable reported per restart costs one deployment per typo, and an `ASSISTANT_TEMPRATURE` that nobody reads is worse than a crash.
#
# **Contract.** `load_settings` walks over `fields(Settings)`; each field's `metadata["variable"]` says how to read it. *Text*: trimmed, blank is missing, required unless it has a default, starts with `<scheme>://` where `schemes` are given. *Numbers*: by `read_number`; `is_whole` refuses `2.5` and gives an `int`. A variable with `PREFIX` that no field knows is a problem: name the closest known one. Collect *all* problems, raise one `SettingsError` with one line per variable; ignore other variables. `describe` gives one `name = value` line per field, numbers followed by their unit. No text shows a secret or a part of it, nor does an error's cause: no key, no password, no value of an unknown variable.
#
# **By hand.** `{"ASSISTANT_RETRIEVAL_K": "0", "ASSISTANT_CHAT_MODLE": "m"}` → seven problems: five missing, one out of bounds, one unknown.
#
# <details><summary>Hint 1: where to look</summary>`dataclasses.fields` (`default`, `MISSING`, `metadata`), `difflib.get_close_matches`, and your two functions.</details>
# <details><summary>Hint 2: the idea</summary>Read one field with a small function that raises; catch in the loop and keep the text. An early return hides the problems behind it.</details>
# <details><summary>Hint 3: pseudocode</summary>
#
#     each field: try to read it -> a value, or add its problem
#     each variable of ours that no field knows -> a problem, without its value
#     any problems -> raise them together; otherwise -> Settings
#
#     describe: secret -> mask; URL -> redacted; number -> with its unit
# </details>


# %% nbgrader={"grade": false, "grade_id": "m00-settings", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export settings.py
def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the whole configuration, or say everything that is wrong with it.

    Args:
        environ: variable names to texts, as `os.environ`; not changed.

    Returns:
        The settings. Texts come without surrounding white space, blank counts as missing, whole numbers are ints.

    Raises:
        SettingsError: one line in `problems` per variable that is missing, malformed, out of bounds or unknown
            (PREFIX and no such field, with the closest known name). No line shows a secret.

    Source: The twelve-factor app, "III. Config".

    >>> required = {"DATABASE_URL": "postgresql://db/a", "OPENAI_BASE_URL": "http://m/v1", "OPENAI_API_KEY": "k"}
    >>> models = {"ASSISTANT_CHAT_MODEL": "small", "ASSISTANT_EMBEDDING_MODEL": "vectors"}
    >>> load_settings({**required, **models, "ASSISTANT_RETRIEVAL_K": "5"}).retrieval_k
    5
    """
    ### BEGIN SOLUTION
    values: dict[str, Any] = {}
    problems: list[str] = []

    def read(variable: Variable, default: Any) -> Any:
        name, found = variable.name, environ.get(variable.name, "").strip()
        if variable.unit:
            low, high, unit = variable.minimum, variable.maximum, variable.unit
            value = read_number(environ, name, default=default, minimum=low, maximum=high, unit=unit)
            if variable.is_whole and value != int(value):
                raise SettingsError(f"{name}={found} is not a whole number of {unit}: correct or unset it.")
            return int(value) if variable.is_whole else value
        if not found and default is MISSING:
            raise SettingsError(f"{name} is missing: set it.")
        starts = tuple(f"{scheme}://" for scheme in variable.schemes)
        if found and starts and not found.startswith(starts):
            raise SettingsError(f"{name}={redact_url(found)!r} must start with {' or '.join(starts)}.")
        return found or default

    for item in fields(Settings):
        try:
            values[item.name] = read(item.metadata["variable"], item.default)
        except SettingsError as error:
            problems.extend(error.problems)
    known = [item.metadata["variable"].name for item in fields(Settings)]
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            closest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
            problems.append(f"{name} is not a variable of this system: did you mean {closest}?")
    if problems:
        raise SettingsError(*problems)
    return Settings(**values)
    ### END SOLUTION


def describe(settings: Settings) -> str:
    """Say what the system runs with, for the log line at start-up and for `repr(settings)`.

    Returns:
        One line per field, `name = value`, numbers with their unit. Secrets are MASK, URLs go through `redact_url`.

    Source: OWASP Logging Cheat Sheet, "Data to exclude".
    """
    ### BEGIN SOLUTION
    lines = []
    for item in fields(settings):
        variable: Variable = item.metadata["variable"]
        value = getattr(settings, item.name)
        if variable.is_secret:
            value = MASK
        elif variable.schemes:
            value = redact_url(value)
        lines.append(f"{item.name} = {value} {variable.unit}".rstrip())
    return "\n".join(lines)
    ### END SOLUTION


# %%
os.environ["ASSISTANT_CHAT_MODEL"] = models.role("small").name
os.environ["ASSISTANT_EMBEDDING_MODEL"] = models.role("embedding").name
settings = load_settings(os.environ)
settings  # its repr is your describe()

# %% nbgrader={"grade": true, "grade_id": "m00-settings-basic", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
with Check("m00-settings-basic") as check:
    minimal = {
        "DATABASE_URL": "postgresql://app:hunter2@db/assistant",
        "OPENAI_BASE_URL": "http://models.internal/v1",
        "OPENAI_API_KEY": "key-1",
        "ASSISTANT_CHAT_MODEL": "small-1",
        "ASSISTANT_EMBEDDING_MODEL": "vectors-1",
    }

    def problems_of(environ):
        try:
            return f"no error, but {load_settings(environ)!r}"
        except NotImplementedError:
            raise
        except Exception as error:  # noqa: BLE001  whatever the loader raises is compared
            return f"{type(error).__name__}: {error}"

    def mentions(text, *names):
        return text.startswith("SettingsError") and all(name in text for name in names)

    check.call(load_settings, minimal).has(
        database_url="postgresql://app:hunter2@db/assistant", chat_model="small-1", tokenizer_file=None, max_attempts=1,
        problem="wrong settings",
        why="the five required texts are set; every other field keeps its default",
        hint="an optional field's default stands in the field itself",
    )  # fmt: skip
    check.call(load_settings, {**minimal, "ASSISTANT_RETRIEVAL_K": "5", "ASSISTANT_TEMPERATURE": "0.5", "HOME": "/"}).has(
        retrieval_k=5, temperature=0.5,
        problem="wrong settings",
        why="both variables are within their bounds; HOME does not start with PREFIX",
        hint="a field's metadata names its variable",
    )  # fmt: skip
    bad = {**minimal, "ASSISTANT_RETRIEVAL_K": "0", "ASSISTANT_EF_SEARCH": "many", "ASSISTANT_CHAT_MODEL": " "}
    check.observe("load_settings with two bad numbers and one blank text", problems_of(bad)).satisfies(
        lambda text: mentions(text, "ASSISTANT_RETRIEVAL_K", "ASSISTANT_EF_SEARCH", "ASSISTANT_CHAT_MODEL"),
        expected="one SettingsError that names all three variables",
        problem="not every problem was reported",
        why="each problem that is missing here costs another deployment",
        hint="collect first, raise once",
    )
    typo = {**minimal, "ASSISTANT_TEMPRATURE": "0"}
    check.observe("load_settings with ASSISTANT_TEMPRATURE", problems_of(typo)).satisfies(
        lambda text: mentions(text, "ASSISTANT_TEMPRATURE", "ASSISTANT_TEMPERATURE"),
        expected="a SettingsError with the unknown name and the closest known one",
        problem="a misspelt variable went unnoticed",
        why="the operator believes that it is set",
        hint="which names with PREFIX are left when every field has taken its own?",
    )
    by_hand = {"ASSISTANT_RETRIEVAL_K": "0", "ASSISTANT_CHAT_MODLE": "m"}
    check.observe(f"the message of load_settings({by_hand})", problems_of(by_hand)).satisfies(
        lambda text: text.startswith("SettingsError") and len(text.splitlines()) == 7,
        expected="a SettingsError with seven lines, one per problem",
        problem="problems are not one line each",
        why="five variables are missing, one is out of bounds, one is unknown; log readers and alerts count lines",
        hint="how does SettingsError split what it is given?",
    )
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        nudge = "go through the contract sentence by sentence"
        check.observe("hidden", problems_of({})).satisfies(
            lambda text: mentions(text, *minimal), expected="", why="all required variables are missing", hint=nudge
        )
        check.observe("hidden", problems_of({**minimal, "ASSISTANT_CANDIDATE_K": "2.5"})).satisfies(
            lambda text: mentions(text, "ASSISTANT_CANDIDATE_K"),
            expected="",
            why="half a chunk cannot be counted: a whole number is required",
            hint=nudge,
        )
        both = {**minimal, "ASSISTANT_TIMEOUT": "5", "ASSISTANT_DEADLINE_S": "-1", "OPENAI_API_KEY": ""}
        check.observe("hidden", problems_of(both)).satisfies(
            lambda text: mentions(text, "ASSISTANT_TIMEOUT_S", "ASSISTANT_DEADLINE_S", "OPENAI_API_KEY"),
            expected="",
            why="unknown, malformed and missing variables belong into the same report",
            hint=nudge,
        )
        check.observe("hidden", problems_of(both)).satisfies(
            lambda text: "DATABASE_URL" not in text and "ASSISTANT_CHAT_MODEL" not in text,
            expected="",
            why="variables without a problem are not in the report",
            hint=nudge,
        )
        rich = {
            **minimal,
            "ASSISTANT_CHUNK_SIZE_TOKENS": "4e2",
            "ASSISTANT_LARGE_MODEL": "big-1",
            "ASSISTANT_TIMEOUT_S": "7.5",
        }
        check.call(load_settings, rich).has(
            chunk_size_tokens=400, large_model="big-1", timeout_s=7.5, why="each field has its own variable", hint=nudge
        )
        check.call(load_settings, {**rich, "ASSISTANT_EF_SEARCH": "3.0"}).satisfies(
            lambda loaded: len("abcdefgh"[: loaded.ef_search]) == 3,
            expected="",
            why="whole numbers are used as sizes and indices",
            hint=nudge,
        )
        check.observe("hidden", problems_of({**minimal, "OPENAI_BASE_URL": "models.internal/v1"})).satisfies(
            lambda text: mentions(text, "OPENAI_BASE_URL"),
            expected="",
            why="a URL needs one of its schemes",
            hint=nudge,
        )
        for name, text in [
            ("OPENAI_BASE_URL", "httpx://m/v1"),
            ("OPENAI_BASE_URL", "http:m"),
            ("DATABASE_URL", "db/a"),
        ]:
            check.observe("hidden", problems_of({**minimal, name: text})).satisfies(
                lambda text, name=name: mentions(text, name),
                expected="",
                why="a URL starts with one of its schemes and ://",
                hint=nudge,
            )
        loose = {
            **minimal,
            "DATABASE_URL": " postgres://db/a ",
            "OPENAI_BASE_URL": "https://m/v1",
            "ASSISTANT_LARGE_MODEL": "  ",
            "ASSISTANT_TOKENIZER_FILE": "/t.json",
            "ASSISTANT_EF_SEARCH": "",
            "MY_ASSISTANT_HOME": "/",
        }
        unchanged = dict(loose)
        check.observe("hidden", load_settings(loose)).has(
            database_url="postgres://db/a", base_url="https://m/v1", large_model=None, tokenizer_file="/t.json",
            ef_search=40, why="blank is missing, texts are trimmed, both schemes count, other variables do not",
            hint=nudge,
        )  # fmt: skip
        check.observe("hidden", loose).equals(
            unchanged,
            problem="the environment was changed",
            why="the docstring promises not to: a second load, or a child process, would find less",
            hint="find what is left over without taking anything out",
        )
        check.call(load_settings, minimal).satisfies(
            lambda loaded: len("abcdefgh"[: loaded.retrieval_k]) == 2 and len("abcdefgh"[: loaded.max_attempts]) == 1,
            expected="",
            why="whole numbers are ints, also where the default applies",
            hint=nudge,
        )
        high = {**minimal, "ASSISTANT_CHUNK_SIZE_TOKENS": "9000", "ASSISTANT_KEYWORD_WEIGHT": "1.5"}
        check.observe("hidden", problems_of(high)).satisfies(
            lambda text: mentions(text, "ASSISTANT_CHUNK_SIZE_TOKENS", "ASSISTANT_KEYWORD_WEIGHT"),
            expected="",
            why="each field has its own upper bound, too",
            hint=nudge,
        )
        strangers = {
            **minimal,
            "ASSISTANT_CONTEXT_BUDGET_TOKEN": "1",
            "ASSISTANT_WHERE_THE_QUICK_BROWN_FOX_SLEEPS_AT_NIGHT": "",
        }
        check.observe("hidden", problems_of(strangers)).satisfies(
            lambda text: (
                mentions(text, *list(strangers)[-2:], "ASSISTANT_CONTEXT_BUDGET_TOKENS") and text.count(PREFIX) >= 4
            ),
            expected="",
            why="every unknown variable is a problem, set or empty, and each has a closest known one, however far",
            hint=nudge,
        )
    ### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "m00-settings-secrets", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
with Check("m00-settings-secrets") as check:
    minimal = {
        "DATABASE_URL": "postgresql://app:hunter2@db/assistant",
        "OPENAI_BASE_URL": "http://models.internal/v1",
        "OPENAI_API_KEY": "sk-live-77",
        "ASSISTANT_CHAT_MODEL": "small-1",
        "ASSISTANT_EMBEDDING_MODEL": "vectors-1",
    }

    def problems_of(environ):
        try:
            return f"no error, but {type(load_settings(environ)).__name__}"
        except NotImplementedError:
            raise
        except Exception as error:  # noqa: BLE001  whatever the loader raises is compared
            told = [error]  # with its causes: a log shows them, too
            while cause := told[-1].__cause__ or (None if told[-1].__suppress_context__ else told[-1].__context__):
                told.append(cause)
            return "\n".join(f"{type(one).__name__}: {one}" for one in told)

    check.call(describe, load_settings(minimal)).satisfies(
        lambda text: "sk-live" not in text and "hunter2" not in text and "app:***@db" in text,
        expected="no key, no password, but the rest of the database URL",
        problem="the start-up log shows a secret, or hides too much",
        why="this text goes to every log; user and host are what a reader needs",
        hint="a field's metadata says whether it is a secret or a URL",
    ).satisfies(
        lambda text: "retrieval_k = " in text and "chat_model = small-1" in text and len(text.splitlines()) >= 20,
        expected="one line `name = value` per field",
        problem="a field is not described",
        why="the value that a service really runs with is the first question of every incident",
        hint="walk over the fields, not over a list of your own",
    )
    check.call(load_settings, {**minimal, "OPENAI_API_KEY": "sk-live-77\n"}).has(
        api_key="sk-live-77",
        problem="white space around a text was kept",
        why="secrets mounted as files often end in a newline, which is not allowed in an HTTP header",
        hint="trim texts as you trim numbers",
    )
    check.observe(
        "load_settings with a wrong DATABASE_URL", problems_of({**minimal, "DATABASE_URL": "mysql://a:hunter2@h/d"})
    ).satisfies(
        lambda text: text.startswith("SettingsError") and "DATABASE_URL" in text and "hunter2" not in text,
        expected="a SettingsError that names DATABASE_URL without its password",
        problem="the error shows a secret, or there is none",
        why="errors are logged, too",
        hint="you wrote a function for this",
    )
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        nudge = "follow every place where a value can enter a text"
        unknown = {**minimal, "ASSISTANT_APIKEY": "sk-test-42"}
        check.observe("hidden", problems_of(unknown)).satisfies(
            lambda text: "ASSISTANT_APIKEY" in text and "sk-test" not in text,
            expected="",
            why="an unknown variable may hold a secret under a wrong name",
            hint=nudge,
        )
        keyed = {
            **minimal,
            "OPENAI_BASE_URL": "https://sam:Zk9@m.internal/v1?api_key=Zk9",
            "ASSISTANT_MAX_ATTEMPTS": "4",
        }
        check.call(describe, load_settings(keyed)).satisfies(
            lambda text: "Zk9" not in text and "m.internal" in text and "max_attempts = 4" in text,
            expected="",
            why="every URL may carry a secret",
            hint=nudge,
        )
        check.observe(
            "hidden", problems_of({**minimal, "DATABASE_URL": "host=db password=Zk9", "OPENAI_API_KEY": " "})
        ).satisfies(
            lambda text: text.startswith("SettingsError") and "OPENAI_API_KEY" in text and "Zk9" not in text,
            expected="",
            why="not everything in a URL variable is a URL; an error's causes are logged with it",
            hint=nudge,
        )
        turned = {
            **minimal,
            "OPENAI_API_KEY": "Qx7-mid-Wv9",
            "ASSISTANT_TIMEOUT_S": "7.5",
            "ASSISTANT_CHAT_MODEL": "m-2",
        }
        check.call(describe, load_settings(turned)).satisfies(
            lambda text: not any(part in text for part in ["Qx7", "mid", "Wv9"]),
            expected="",
            why="a part of a key is a part of a secret",
            hint=nudge,
        ).satisfies(
            lambda text: (
                sorted(line.partition(" = ")[0] for line in text.splitlines())
                == sorted(item.name for item in fields(Settings))
            ),
            expected="",
            why="one line for every field, those that are secret or not set included",
            hint=nudge,
        ).satisfies(
            lambda text: any(line.startswith("timeout_s = 7.5 ") and "seconds" in line for line in text.splitlines()),
            expected="",
            why="a number without a unit is a guess, and the value is the one that is in force",
            hint="the unit stands in the field's metadata",
        ).satisfies(
            lambda text: "chat_model = m-2" in text, expected="", why="the values that are in force", hint=nudge
        )
    ### END HIDDEN TESTS

# %% [markdown]
# One line per field, and `***` where secrets are. **The trade-off:** strictness about unknown variables catches typos today and can break a *rollback* tomorrow, when an older version meets a newer variable. We are strict because the prefix is ours alone; where a platform injects variables, warn instead.

# %% [markdown] nbgrader={"grade": false, "grade_id": "m00-reload-goal", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Exercise 4 · Keep the last good configuration
#
# *12 minutes · difficulty 2 of 3 · 5 points.* **Why production cares:** configuration pushes cause a large share of outages. A serving process should survive a broken push, say so, and never run on half of it.
#
# **Contract.** `SettingsHolder(load)` loads once; that error reaches the caller, for there is nothing to fall back to. `current` is the last configuration that loaded; reading it never waits, not even while `load` is slow. `reload()` calls `load` once and returns problems: none when the new configuration is in place; otherwise the old one stays, whatever `load` raised, and the problems are those of a `SettingsError`, or one line with type and message of any other error. When two threads reload, an *older* load never replaces a newer one. The holder knows nothing about what it holds.
#
# **By hand.** `load` gives A, fails, gives B: `current` is A; `reload()` → `["…"]`, still A; `reload()` → `[]`, now B.
#
# <details><summary>Hint 1: where to look</summary>`threading.Lock`, and what Python guarantees about assigning one attribute.</details>
# <details><summary>Hint 2: the idea</summary>Build the new value aside, then swap one reference. Readers need no lock for that; writers need one around load *and* swap.</details>
# <details><summary>Hint 3: pseudocode</summary>
#
#     reload, one at a time:
#         try to load -> swap the reference, no problems
#         settings error -> its problems
#         any other error -> one line, type and message
# </details>

# %% nbgrader={"grade": false, "grade_id": "m00-reload", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export settings.py
Loaded = TypeVar("Loaded")


class SettingsHolder(Generic[Loaded]):
    """The configuration of a running process: replaced as a whole, and only by one that loads.

    Args:
        load: builds a configuration from scratch; slow at times, and may raise anything. Its error ends the first load.

    Source: The Site Reliability Workbook (Beyer et al. 2018), chapter 14, on applying configuration changes safely.

    >>> holder = SettingsHolder(lambda: {"retrieval_k": 3})
    >>> holder.reload(), holder.current
    ([], {'retrieval_k': 3})
    """

    def __init__(self, load: Callable[[], Loaded]) -> None:
        ### BEGIN SOLUTION
        self._load = load
        self._one_reload = threading.Lock()
        self._current = load()
        ### END SOLUTION

    @property
    def current(self) -> Loaded:
        """The last configuration that loaded. Never waits for a reload, never changes in place."""
        ### BEGIN SOLUTION
        return self._current
        ### END SOLUTION

    def reload(self) -> list[str]:
        """Replace the configuration, or keep it; safe from several threads, the newest load wins.

        Returns:
            No problem, or every problem in one line each: those of a SettingsError, else the error's type and message.
        """
        ### BEGIN SOLUTION
        with self._one_reload:
            try:
                self._current = self._load()
            except SettingsError as error:
                return list(error.problems)
            except Exception as error:  # noqa: BLE001  whatever the new configuration breaks, the old one stays
                return [" ".join(f"{type(error).__name__}: {error}".split())]
        return []
        ### END SOLUTION


# %%
pushed = {**os.environ}
holder = SettingsHolder(lambda: load_settings(pushed))
pushed["ASSISTANT_TIMEOUT_S"] = "30s"  # somebody's push, at night
print(holder.reload(), "still running with", holder.current.timeout_s, "seconds")

# %% nbgrader={"grade": true, "grade_id": "m00-reload-basic", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
with Check("m00-reload-basic") as check:

    def serve(*results):
        """A load function that gives these results in turn; exceptions are raised, and the last one stays."""
        queue = list(results)

        def load():
            result = queue.pop(0) if len(queue) > 1 else queue[0]
            if isinstance(result, Exception):
                raise result
            return result

        return load

    holder = SettingsHolder(serve("A", "B", SettingsError("K is missing", "T is nan"), "C"))
    check.observe("SettingsHolder(load).current", holder.current).equals(
        "A", why="the constructor loads once", hint="what does the holder hold before the first reload?"
    )
    check.observe("reload() with a good configuration", [holder.reload(), holder.current]).equals(
        [[], "B"], why="no problems, and the new configuration is current", hint="swap, then report nothing"
    )
    check.observe("reload() with a broken configuration", [holder.reload(), holder.current]).equals(
        [["K is missing", "T is nan"], "B"],
        problem="a broken configuration got through, or its problems did not",
        why="load raised a SettingsError with two problems; the last good configuration is B",
        hint="a SettingsError carries its problems",
    )
    check.observe("reload() after the repair", [holder.reload(), holder.current]).equals(
        [[], "C"], why="one failure must not stop later reloads", hint="what state does a failed reload leave behind?"
    )
    check.call(SettingsHolder, serve(SettingsError("K is missing"))).raises(
        SettingsError, mentions=("K is missing",), why="without a first configuration there is nothing to serve",
        hint="which errors does the constructor swallow?",
    )  # fmt: skip
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        nudge = "write down what current is after each step"
        other = SettingsHolder(
            serve({"k": 3, "old": 1}, {"k": 4}, SettingsError("x"), SettingsError("y", "z"), {"k": 5})
        )
        steps = [[other.reload(), other.current] for _ in range(4)]
        check.observe("hidden", steps).equals(
            [[[], {"k": 4}], [["x"], {"k": 4}], [["y", "z"], {"k": 4}], [[], {"k": 5}]],
            why="each reload replaces the whole configuration or nothing of it",
            hint=nudge,
        )
        values = [[1], {}, 0, None, "same", "same"]
        third = SettingsHolder(serve(*values))
        check.observe("hidden", [[third.reload(), third.current] for _ in values[1:]]).equals(
            [[[], value] for value in values[1:]],
            why="the holder knows nothing about what it holds: empty, zero, None or unchanged, it loaded",
            hint=nudge,
        )
        check.observe("hidden", [other.current, third.current]).equals(
            [{"k": 5}, "same"], why="two holders have nothing in common", hint="where does each value live?"
        )
        check.call(SettingsHolder, serve(OSError("no such file"))).raises(
            OSError, mentions=("no such file",), why="the first load's error reaches the caller", hint=nudge
        )
    ### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "m00-reload-breaking", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
from threading import Event, Thread

with Check("m00-reload-breaking") as check:

    def in_thread(function):
        """Run in a thread of its own; returns the thread and the list that the result will be in."""
        result = []
        thread = Thread(target=lambda: result.append(function()), daemon=True)
        thread.start()
        return thread, result

    def failing_with(error):
        state = {"loads": 0}

        def load():
            state["loads"] += 1
            if state["loads"] > 1:
                raise error
            return "A"

        return load

    disk = SettingsHolder(failing_with(OSError("disk is gone")))
    check.observe("reload() when load raises OSError: problems mention it", disk.reload()).satisfies(
        lambda problems: isinstance(problems, (list, tuple)) and "disk is gone" in " ".join(problems),
        expected="a list with the error's message in it",
        problem="an unexpected error escaped, or vanished",
        why="a file share or a secret store fails in its own ways; serving must go on, and somebody must hear of it",
        hint="a SettingsError is not the only thing that load can raise",
    )
    check.observe("current afterwards", disk.current).equals(
        "A", why="nothing was loaded", hint="keep the old reference"
    )

    entered, release = Event(), Event()
    loads = []

    def slow_load():
        loads.append(len(loads))
        if len(loads) > 1:
            entered.set()
            release.wait(10)
        return f"configuration {len(loads)}"

    slow = SettingsHolder(slow_load)
    reloading, _ = in_thread(slow.reload)
    entered.wait(5)
    reading, seen = in_thread(lambda: slow.current)
    reading.join(2)
    seen_in_time = list(seen)
    release.set()
    reloading.join(5)
    check.observe("current, read while another thread's load is slow", seen_in_time).equals(
        ["configuration 1"],
        problem="the reader waited, or saw an unfinished configuration",
        why="requests keep coming while a secret store takes its time",
        hint="who really needs the lock, and what is current between two loads?",
    )
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        nudge = "imagine two threads in reload, the first one slower than the second"
        turn = iter(["first", "older", "newer"])
        started, go_on = Event(), Event()

        def racing_load():
            mine = next(turn)
            if mine == "older":
                started.set()
                go_on.wait(10)
            return mine

        racing = SettingsHolder(racing_load)
        slow_thread, _ = in_thread(racing.reload)
        started.wait(5)
        fast_thread, _ = in_thread(racing.reload)
        fast_thread.join(0.5)
        go_on.set()
        slow_thread.join(5)
        fast_thread.join(5)
        check.observe("hidden", racing.current).equals(
            "newer",
            problem="an older configuration won",
            why="the load that started last has the newest state",
            hint=nudge,
        )

        class VaultSealed(Exception):
            """An error of a library that the holder has never heard of."""

        for error, words in [
            (RuntimeError("token store"), ["RuntimeError", "token store"]),
            (KeyError("region"), ["KeyError", "region"]),
            (ValueError("bad yaml\nin line 3"), ["ValueError", "bad yaml", "line 3"]),
            (TimeoutError(), ["TimeoutError"]),
            (VaultSealed("503 from the vault at 10.0.0.7"), ["VaultSealed", "10.0.0.7"]),
        ]:
            fragile = SettingsHolder(failing_with(error))
            problems = list(fragile.reload())
            check.observe("hidden", [fragile.current, bool(fragile.reload())]).equals(
                ["A", True], why="whatever load raises, the last good configuration stays", hint=nudge
            )
            check.observe("hidden", problems).satisfies(
                lambda lines, words=words: len(lines) == 1 and all(word in lines[0] for word in words),
                expected="",
                problem="a problem says too little",
                why="one line with type and message: a KeyError's message alone is 'region', a timeout's is empty",
                hint="which errors have a message that says nothing?",
            ).satisfies(
                lambda lines: "\n" not in lines[0],
                expected="",
                why="one line per problem: log readers count lines",
                hint="which errors have messages of several lines?",
            )
        check.observe("hidden", len(loads)).equals(
            2, why="each reload loads exactly once", hint="how often do you call load?"
        )
    ### END HIDDEN TESTS

# %% [markdown]
# A problem that names variable, text and bounds, and a process that runs on. Without the holder, the same push is a crash loop.
#
# ## 8 · Break it
#
# Tonight three things happen, one at a time: the endpoint's **port** changes, the **embedding model** is replaced by one with other dimensions, the **document** with the right answer is deleted. `Settings` has the fields that `config` had, so it fits into `ask`. The traces come shuffled: which is which?


# %%
def without(document, question):
    """Ask while a document is gone; the deletion is undone on the way out."""
    with db.transaction(force_rollback=True):
        db.execute("DELETE FROM m00_documents WHERE id = %s", (document.id,))
        return ask(question.text, settings)


has_other = models.connect().profile.fast_embedding is not None
other_model = models.role("fast_embedding" if has_other else "small").name
faults = {
    "port": lambda: ask(incident.text, replace(settings, base_url="http://127.0.0.1:9/v1")),
    "embedding model": lambda: ask(incident.text, replace(settings, embedding_model=other_model)),
    "document": lambda: without(right, incident),
}
order = np.random.default_rng(SEED).permutation(list(faults))
tonight = pd.DataFrame([faults[name]() for name in order], index=list("ABC"))
tonight["stages, in ms"] = tonight["ms"].map(lambda ms: " → ".join(f"{name} {value:.0f}" for name, value in ms.items()))
tonight["found first"] = tonight["found"].map(lambda found: "{} {}".format(*found[0]) if found else "")
tonight[["stages, in ms", "error", "found first", "answer"]].style.set_properties(**{"text-align": "left"})

# %%
diagnosis = {"A": "port", "B": "port", "C": "port"}  # your reading: port, embedding model or document

for letter, name in zip("ABC", order, strict=True):
    print(letter, "✓" if diagnosis[letter] == name else "✗", name)

# %% [markdown]
# Two faults are loud: a stage stops, the trace names it, any alert would fire. The third leaves a trace that looks *healthy*: normal times, a plausible similarity, a fluent answer. Dashboards for latency and errors cannot see it; only an evaluation can. Modules 5 and 9 exist for that.
#
# Loud faults can be kept out: give the holder a `load` that *tries* a configuration before it accepts it.


# %%
def probed(environ):
    """Settings whose endpoint has answered once."""
    loaded = load_settings(environ)
    client_of(loaded.base_url, loaded.api_key).models.list()
    return loaded


pushed = {**os.environ}
serving = SettingsHolder(lambda: probed(pushed))
pushed["OPENAI_BASE_URL"] = "http://127.0.0.1:9/v1"
print(serving.reload(), "· still answering:", bool(ask(incident.text, serving.current)["answer"]))

# %% [markdown]
# ## 9 · Where the system stands
#
# With the frozen `k`, measure once more and write the scoreboard's first row. Then ask the incident's question again, twenty times with four documents in the prompt, and twenty times without the outdated page, which ingestion should have left out.


# %%
def answer(question):
    trace = ask(question.text, settings)
    ranked = [name for name, _ in trace["found"]]
    cost_usd, tokens = sum(usd(trace, settings).values()), sum(trace["tokens"].values())
    return scoreboard.Answer(trace["answer"], ranked, cost_usd, tokens, trace["ms"])


scoreboard.record(MODULE, scoreboard.row(scoreboard.judge(answer, scoreboard.questions(library)), library))
scoreboard.table().round(2)

# %%
wider = replace(settings, retrieval_k=4)
with_more = Counter(kind_of(incident, ask(incident.text, wider)["answer"]) for _ in range(20))
without_page = Counter(kind_of(incident, without(outdated, incident)["answer"]) for _ in range(20))
counts = {"inherited": before, f"k = {wider.retrieval_k}": with_more, "outdated page removed": without_page}
display(pd.DataFrame(counts, index=kinds).fillna(0).astype(int).rename_axis("answers of 20"))
say(
    f"The dangerous answer came **{before['outdated']} times of 20** from the inherited system, {with_more['outdated']} times",
    f"with more documents to read, and **{without_page['outdated']} times** once a stale row had left the index. Then the right",
    f"one came in {without_page['right']} of 20: its number stands in a table, further down. One incident, two stages.",
)

# %% [markdown]
# ## What you take away
#
# 1. A wrong answer is a symptom; its cause sits in a stage: ingestion, retrieval, generation or configuration.
# 2. AI systems fail *silently*: status 200, normal latency, wrong content.
# 3. Measure distributions over a judged set, not one answer that you liked.
# 4. Each pasted document is bought with tokens, latency and room in a finite window.
# 5. Configuration is input: validate all of it at once, keep secrets out of every text, keep the last good one.
#
# **When not to do this.** A script that you run by hand needs no holder and no strict prefix. Where a platform validates configuration against a schema, a second validator is a second truth.
#
# **On call.** *Overnight the assistant's p95 has halved; the error rate is zero; support likes the speed. Do you page anyone?*
#
# <details><summary>One answer</summary>Look before you celebrate. Faster often means less work: fewer documents found after a failed re-index, shorter prompts, a cheaper fallback. Compare documents per prompt, input tokens and right answers on the golden set with yesterday's. If they fell, this is an incident in which nothing is red.</details>
#
# **Primary sources.** Adam Wiggins, *The Twelve-Factor App*, "III. Config". Lewis et al., *Retrieval-Augmented Generation for Knowledge-Intensive NLP Tasks*, NeurIPS 2020.
