"""Ties tokenizer, language model, embeddings and skills into one thing that answers.

The engine is the model side of the server: it takes checked requests and returns finished replies. It knows
nothing of HTTP, faults or clocks. What a reply says (text, calls, logprobs, why it ended) is a function of the
request; unseeded sampling also depends on how often this client has sent the very same request before. Two things
are not: ids (of the reply and its tool calls), which are never given out twice, not even by another server, and
`cached_tokens`, which depends on what this client has sent before.
"""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from simllm import language, turn
from simllm.chat import ChatRequest
from simllm.choices import Choice, read_choice
from simllm.embeddings import Embedder
from simllm.errors import context_length_exceeded, string_too_long
from simllm.fair_share import FairShare
from simllm.generation import Decoding, Generated, Generator, Pointer, TokenLogprob
from simllm.prefix_cache import PrefixCache
from simllm.reasoning import reasoning_tokens
from simllm.recent import Recent
from simllm.rendering import render
from simllm.sampling import generator
from simllm.skills import Candidate, Plan, Toolbox, make_plan
from simllm.tokenizer import Tokenizer, default_tokenizer

MAX_COUNTED = 1_000_000  # characters of a prompt whose tokens are counted for their own sake
_PLANS_KEPT = 256


@dataclass(frozen=True)
class Completion:
    """The replies to one request. `id` is unique per call; token counts are those of the bill.

    `candidates` are the possible replies that were weighed, with their weights.
    """

    id: str
    prompt_tokens: int
    cached_tokens: int
    choices: tuple[Choice, ...]
    candidates: tuple[tuple[str, float], ...] = ()

    @property
    def completion_tokens(self) -> int:
        """Hidden and visible tokens of all choices."""
        return sum(choice.completion_tokens for choice in self.choices)

    @property
    def reasoning_tokens(self) -> int:
        """The hidden part of `completion_tokens`."""
        return sum(choice.reasoning_tokens for choice in self.choices)


@dataclass(frozen=True)
class _Prepared:
    """A plan with its texts already tokenized."""

    pointers: tuple[Pointer, ...]
    wander: float
    prompt: tuple[int, ...]
    candidates: tuple[tuple[str, float], ...]


class Engine:
    """The simulated models.

    Args:
        text_dirs: folders whose text the language model also learns from.
        cache_dir: where trained arrays and vectors are kept; None keeps them in memory only.
        read_only: use the cache folder without writing to it.
    """

    def __init__(
        self, text_dirs: Sequence[Path] = (), cache_dir: Path | None = None, *, read_only: bool = False
    ) -> None:
        self.tokenizer: Tokenizer = default_tokenizer()
        self.language = language.load(self.tokenizer, text_dirs, cache_dir, read_only=read_only)
        self.embedder = Embedder(self.tokenizer, cache_dir, read_only=read_only)
        self.shares = FairShare()
        self._toolbox = Toolbox(self.tokenizer, self.embedder)
        self._plans: Recent[_Prepared | None] = Recent(lambda: None, _PLANS_KEPT)
        self._prefixes = PrefixCache()
        self._counts: Recent[Recent[int]] = Recent(lambda: Recent(int))
        self._lock = threading.Lock()
        self._birth = uuid.uuid4().hex
        self._numbers = itertools.count(1)

    def complete(self, request: ChatRequest, client: str = "anonymous") -> Completion:
        """Answer a chat request.

        Raises:
            ApiError: 400 `context_length_exceeded`.
        """
        prompt_tokens, cached_tokens = self._read_prompt(request, client)
        room = request.model.context_window - prompt_tokens
        limit = request.max_tokens or min(room, request.model.max_output_tokens)
        digest = request.prompt_digest()
        plan = self._prepare(request, digest)
        thinking = min(limit, _thinking(request, plan))
        decoding = Decoding(
            request.temperature, request.top_p, limit - thinking, request.stop, request.logprobs, request.top_logprobs
        )
        count = self._count(client, request.sampling_digest())
        seed = f"seed {request.seed}" if request.seed is not None else f"call {count}"
        reply_id = self._new_id()
        choices = []
        for index in range(request.n):
            writer = Generator(self.language, self.tokenizer, plan.pointers, wander=plan.wander, prompt=plan.prompt)
            written = writer.run(decoding, generator(digest, seed, index), self.shares.breathe)
            choices.append(read_choice(written, self.tokenizer, request.tool_choice, thinking, reply_id, index))
        return Completion(reply_id, prompt_tokens, cached_tokens, tuple(choices), plan.candidates)

    def recite(self, request: ChatRequest, text: str, finish_reason: str, client: str = "anonymous") -> Completion:
        """A scripted reply: `text` as it stands, billed by its tokens; nothing is sampled.

        Raises:
            ApiError: 400 `context_length_exceeded`, as for any other reply.
        """
        prompt_tokens, cached_tokens = self._read_prompt(request, client)
        tokens = self.tokenizer.encode(text)
        logprobs = tuple(TokenLogprob(token, 0.0, ()) for token in tokens) if request.logprobs else ()
        said = Generated(tuple(tokens), tuple(self.tokenizer.decode_steps(tokens)), finish_reason, logprobs)
        reply_id = self._new_id()
        choice = read_choice(said, self.tokenizer, request.tool_choice, 0, reply_id, 0)
        return Completion(reply_id, prompt_tokens, cached_tokens, (choice,) * request.n)

    def count_prompt(self, request: ChatRequest) -> int:
        """Tokens of a prompt, without answering it; the context window is no limit.

        Raises:
            ApiError: 400 `string_above_max_length`: so much text takes seconds to count.
        """
        length = sum(len(message.text) for message in request.messages)
        if length > MAX_COUNTED:
            raise string_too_long("input", MAX_COUNTED, length)
        return len(render(request, self.tokenizer, self.shares.breathe))

    def forget(self, client: str) -> None:
        """Start this client's count of unseeded replies again, and forget its cached prefixes."""
        with self._lock:
            self._counts.drop(client)
        self._prefixes.forget(client)

    def close(self) -> None:
        """Release the cache files."""
        self.embedder.close()

    def _read_prompt(self, request: ChatRequest, client: str) -> tuple[int, int]:
        """(tokens, cached tokens) of the prompt; refuses one that leaves no room for the reply."""
        sure = sum(self.tokenizer.at_least(message.text) for message in request.messages)
        if sure > request.model.context_window:  # a huge one without counting: that would hold up every other client
            raise context_length_exceeded(request.model.context_window, sure, None, exact=False)
        tokens = render(request, self.tokenizer)
        if request.model.context_window - len(tokens) < (request.max_tokens or 1):
            raise context_length_exceeded(request.model.context_window, len(tokens), request.max_tokens)
        return len(tokens), self._prefixes.cached_tokens(client, request.model.id, tokens)

    def _new_id(self) -> str:
        return f"{generator(self._birth, next(self._numbers)).getrandbits(96):024x}"

    def _count(self, client: str, digest: str) -> int:
        with self._lock:
            counts = self._counts[client]
            counts[digest] += 1
            return counts[digest]

    def _prepare(self, request: ChatRequest, digest: str) -> _Prepared:
        with self._lock:
            known = self._plans.find(digest)
        if known is not None:
            return known
        plan: Plan = make_plan(request, self._toolbox)
        pointers = []
        for candidate in plan.candidates:
            tokens = turn.write(self.tokenizer, candidate.text, candidate.calls, refusal=candidate.refusal)
            pointers.append(Pointer(tuple(tokens), candidate.weight))
        last = tuple(self.tokenizer.encode(request.messages[-1].text))
        weighed = tuple((_shown(candidate), candidate.weight) for candidate in plan.candidates)
        prepared = _Prepared(tuple(pointers), plan.wander, last, weighed)
        with self._lock:
            self._plans[digest] = prepared
        return prepared


def _shown(candidate: Candidate) -> str:
    """A possible reply as text, its calls included."""
    return " ".join([candidate.text, *(f"{call.name}({call.arguments})" for call in candidate.calls)]).strip()


def _thinking(request: ChatRequest, plan: _Prepared) -> int:
    """Hidden tokens before the reply; 0 for a model that does not reason."""
    if request.effort is None:
        return 0
    return reasoning_tokens([pointer.tokens for pointer in plan.pointers] or [plan.prompt], request.effort)
