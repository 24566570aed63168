"""Ties tokenizer, language model, embeddings and skills into one thing that answers.

The engine is the model side of the server: it takes checked requests and returns finished replies. It knows
nothing of HTTP, faults or clocks. Everything it returns is a function of the request, except that unseeded
sampling also depends on how often this client has sent the very same request before.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from simllm import language
from simllm.chat import ChatRequest
from simllm.embeddings import Embedder
from simllm.errors import context_length_exceeded
from simllm.generation import Decoding, Generated, Generator, Pointer, TokenLogprob
from simllm.sampling import generator
from simllm.skills import Plan, Toolbox, make_plan
from simllm.tokenizer import Tokenizer, default_tokenizer

_PLANS_KEPT = 256


@dataclass(frozen=True)
class Completion:
    """The replies to one request. `id` is unique per call."""

    id: str
    prompt_tokens: int
    choices: tuple[Generated, ...]

    @property
    def completion_tokens(self) -> int:
        return sum(len(choice.tokens) for choice in self.choices)


@dataclass(frozen=True)
class _Prepared:
    """A plan with its texts already tokenized."""

    pointers: tuple[Pointer, ...]
    wander: float
    prompt: tuple[int, ...]


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
        self._toolbox = Toolbox(self.tokenizer, self.embedder)
        self._plans: OrderedDict[str, _Prepared] = OrderedDict()
        self._counts: dict[str, Counter[str]] = {}
        self._lock = threading.Lock()

    def complete(self, request: ChatRequest, client: str = "anonymous") -> Completion:
        """Answer a chat request.

        Raises:
            ApiError: 400 `context_length_exceeded`.
        """
        prompt_tokens = self._prompt_tokens(request)
        room = request.model.context_window - prompt_tokens
        limit = request.max_tokens or min(room, request.model.max_output_tokens)
        decoding = Decoding(
            request.temperature, request.top_p, limit, request.stop, request.logprobs, request.top_logprobs
        )
        plan = self._prepare(request)
        count = self._count(client, request.sampling_digest())
        seed = f"seed {request.seed}" if request.seed is not None else f"call {count}"
        choices = []
        for index in range(request.n):
            writer = Generator(self.language, self.tokenizer, plan.pointers, wander=plan.wander, prompt=plan.prompt)
            choices.append(writer.run(decoding, generator(request.prompt_digest(), seed, index)))
        reply_id = f"{generator(request.sampling_digest(), seed, count, client).getrandbits(96):024x}"
        return Completion(reply_id, prompt_tokens, tuple(choices))

    def recite(self, request: ChatRequest, text: str, finish_reason: str) -> Completion:
        """A scripted reply: `text` as it stands, billed by its tokens; nothing is sampled.

        Raises:
            ApiError: 400 `context_length_exceeded`, as for any other reply.
        """
        prompt_tokens = self._prompt_tokens(request)
        tokens = self.tokenizer.encode(text)
        logprobs = tuple(TokenLogprob(token, 0.0, ()) for token in tokens) if request.logprobs else ()
        said = Generated(tuple(tokens), tuple(self.tokenizer.decode_steps(tokens)), finish_reason, logprobs)
        reply_id = f"{generator(request.prompt_digest(), text).getrandbits(96):024x}"
        return Completion(reply_id, prompt_tokens, (said,) * request.n)

    def forget(self, client: str) -> None:
        """Start this client's count of unseeded replies again."""
        with self._lock:
            self._counts.pop(client, None)

    def close(self) -> None:
        """Release the cache files."""
        self.embedder.close()

    def _prompt_tokens(self, request: ChatRequest) -> int:
        """Tokens of the prompt; refuses one that leaves no room for the reply."""
        prompt_tokens = self.tokenizer.count_chat(message.text for message in request.messages)
        if request.model.context_window - prompt_tokens < (request.max_tokens or 1):
            raise context_length_exceeded(request.model.context_window, prompt_tokens, request.max_tokens)
        return prompt_tokens

    def _count(self, client: str, digest: str) -> int:
        with self._lock:
            counts = self._counts.setdefault(client, Counter())
            counts[digest] += 1
            return counts[digest]

    def _prepare(self, request: ChatRequest) -> _Prepared:
        digest = request.prompt_digest()
        with self._lock:
            if digest in self._plans:
                self._plans.move_to_end(digest)
                return self._plans[digest]
        plan: Plan = make_plan(request, self._toolbox)
        encode = self.tokenizer.encode
        pointers = tuple(Pointer(tuple(encode(c.text)), c.weight, c.opening) for c in plan.candidates)
        prepared = _Prepared(pointers, plan.wander, tuple(encode(request.messages[-1].text)))
        with self._lock:
            self._plans[digest] = prepared
            while len(self._plans) > _PLANS_KEPT:
                self._plans.popitem(last=False)
        return prepared
