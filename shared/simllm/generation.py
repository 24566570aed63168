"""Generate token by token from a mixture of copied answers and a language model.

A pointer-generator in the sense of See, Liu and Manning (ACL 2017), with the learned parts replaced by scores:

1. *pointers*: whole candidate answers as token sequences with a weight. Those that agree with everything emitted
   so far stay in play, with renormalised weights;
2. the *n-gram language model*, with a small share (`wander`), or alone when no pointer is left;
3. *echo*: once off the pointers, tokens that followed the last two tokens in the prompt or the candidates.

So greedy decoding copies the heaviest candidate exactly, a usual temperature mostly does, and a high one derails.
The logprobs reported are those of the mixture at temperature 1. Nothing here reads the prompt's meaning.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from simllm.language import FLOOR, KEPT, ORDER, LanguageModel
from simllm.sampling import Distribution, sample
from simllm.stopping import StopWatcher
from simllm.tokenizer import END, Tokenizer
from simllm.turn import CONTROL

ECHO_SHARE = 0.7  # of the mass, where prompt or candidates know a continuation of the last two tokens
REPEAT_DISCOUNT = 0.05  # factor on a token that would repeat a trigram already emitted
LONG_WINDED = 120  # tokens off the pointers after which a sentence's end most likely ends the reply
SUPPORT = FLOOR + ORDER * KEPT  # the language model never offers more tokens than this
SENTENCE_ENDS = (b".", b"!", b"?", b"\n", b":")


@dataclass(frozen=True)
class Pointer:
    """One candidate answer: token ids and a positive weight."""

    tokens: tuple[int, ...]
    weight: float


@dataclass(frozen=True)
class Decoding:
    """The sampling parameters of one request, already validated."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    want_logprobs: bool = False
    top_logprobs: int = 0


@dataclass(frozen=True)
class TokenLogprob:
    """A generated token's log-probability and its strongest competitors (natural logarithms)."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Generated:
    """One finished reply.

    `pieces[i]` is what token i added to the text. Control tokens, and all tokens after the first of them, belong to
    a refusal or to tool calls and have no piece: `simllm.turn` reads them.
    """

    tokens: tuple[int, ...]
    pieces: tuple[str, ...]
    finish_reason: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass
class _State:
    """What the generator remembers while it writes."""

    context: list[int]
    alive: list[Pointer]
    emitted: list[int] = field(default_factory=list)
    off_track: int = 0
    trigrams: dict[tuple[int, int], list[int]] = field(default_factory=dict)

    def push(self, token: int) -> None:
        position = len(self.emitted)
        self.alive = [p for p in self.alive if p.tokens[position] == token and position + 1 < len(p.tokens)]
        self.off_track = 0 if self.alive else self.off_track + 1
        self.emitted.append(token)
        self.context.append(token)
        if len(self.emitted) >= 3:
            first, second, third = self.emitted[-3:]
            self.trigrams.setdefault((first, second), []).append(third)


class Generator:
    """Writes one reply; make a new one per reply."""

    def __init__(
        self,
        language: LanguageModel,
        tokenizer: Tokenizer,
        pointers: Sequence[Pointer],
        *,
        wander: float,
        prompt: Sequence[int] = (),
    ) -> None:
        self._language = language
        self._tokenizer = tokenizer
        self._wander = wander if pointers else 1.0
        self._pointers = [Pointer((*p.tokens, END), p.weight) for p in pointers]
        self._prompt = list(prompt)
        self._echo: dict[tuple[int, int], list[int]] | None = None

    def run(self, decoding: Decoding, stream: random.Random, breathe: Callable[[], None] = lambda: None) -> Generated:
        """Write until the end token, a stop string or `max_tokens`.

        Args:
            decoding: sampling parameters.
            stream: source of one random number per token.
            breathe: called before every token, so that others may compute.
        """
        state = _State(self._prompt[-ORDER:], list(self._pointers))
        logprobs: list[TokenLogprob] = []
        finish_reason = "length"
        watcher = StopWatcher(self._tokenizer, decoding.stop)
        plain = True
        while len(state.emitted) < decoding.max_tokens:
            breathe()
            uniform = stream.random()  # always drawn, so that token i sees the same number at every temperature
            token = self._sure_token(state, decoding, uniform)
            if token is None:
                distribution = self.distribution(state)
                token = sample(distribution, decoding.temperature, decoding.top_p, uniform)
                if decoding.want_logprobs and token != END:
                    top = tuple((t, float(np.log(p))) for t, p in distribution.top(decoding.top_logprobs))
                    logprobs.append(TokenLogprob(token, distribution.logprob(token), top))
            if token == END:
                finish_reason = "stop"
                break
            state.push(token)
            plain = plain and token not in CONTROL  # stop strings end text, neither calls nor refusals
            if plain and watcher.hit(state.emitted):
                finish_reason = "stop"
                break
        spoken = next((i for i, token in enumerate(state.emitted) if token in CONTROL), len(state.emitted))
        pieces = watcher.cut(self._tokenizer.decode_steps(state.emitted[:spoken]))
        tokens = tuple(state.emitted[: len(pieces)] if plain else state.emitted)
        return Generated(tokens, tuple(pieces), finish_reason, tuple(logprobs[: len(tokens)]))

    def _sure_token(self, state: _State, decoding: Decoding, uniform: float) -> int | None:
        """The token that would be drawn whatever the language model says; None when that cannot be known.

        It only saves time: the language model's weights are bounded instead of computed.
        """
        if not state.alive or decoding.want_logprobs or 0.0 < decoding.top_p < 1.0:
            return None
        mass = self._pointer_mass(state)
        if decoding.temperature == 0.0 or decoding.top_p == 0.0:
            ranked = sorted(mass.values(), reverse=True)
            runner_up = ranked[1] if len(ranked) > 1 else 0.0
            sure = (1 - self._wander) * (ranked[0] - runner_up) > self._wander
            return max(mass, key=lambda token: mass[token]) if sure else None
        power, wander = 1.0 / decoding.temperature, self._wander
        scale = (1 - wander) * max(mass.values()) + wander  # keeps the powers of low temperatures in range
        least = [((1 - wander) * m / scale) ** power for m in mass.values()]
        most = [(((1 - wander) * m + wander) / scale) ** power for m in mass.values()]
        others = (wander / scale) ** power if power >= 1 else SUPPORT * (wander / scale / SUPPORT) ** power
        for i, token in enumerate(mass):  # tokens stand in this order in the distribution, before all others
            starts_by = _share(sum(most[:i]), sum(least[i:]))
            ends_after = _share(sum(least[: i + 1]), sum(most[i + 1 :]) + others)
            if starts_by <= uniform < ends_after:
                return token
        return None

    def _pointer_mass(self, state: _State) -> dict[int, float]:
        position = len(state.emitted)
        total = sum(pointer.weight for pointer in state.alive)
        mass: dict[int, float] = {}
        for pointer in state.alive:
            token = pointer.tokens[position]
            mass[token] = mass.get(token, 0.0) + pointer.weight / total
        return mass

    def distribution(self, state: _State) -> Distribution:
        """The next-token distribution at temperature 1."""
        if state.alive and self._wander == 0.0:
            mass = self._pointer_mass(state)
            return Distribution(np.array(list(mass)), np.array(list(mass.values())))
        free = self._free_distribution(state)
        if not state.alive:
            return free
        return _mix(free, self._pointer_mass(state), 1 - self._wander)

    def _free_distribution(self, state: _State) -> Distribution:
        """The language model, kept from echoing itself and from never ending."""
        plain = self._language.next(state.context)
        if state.alive:
            return plain
        probs = plain.probs.copy()
        for token in state.trigrams.get((state.emitted[-2], state.emitted[-1]), ()) if len(state.emitted) > 1 else ():
            probs[plain.ids == token] *= REPEAT_DISCOUNT
        if not state.emitted:
            probs[plain.ids == END] = 0.0  # a chat model says something
        free = Distribution(plain.ids, probs / probs.sum())
        successors = self._successors(state)
        if successors:
            free = _mix(free, {t: successors.count(t) / len(successors) for t in successors}, ECHO_SHARE)
        if state.emitted and self._tokenizer.piece(state.emitted[-1]).endswith(SENTENCE_ENDS):
            free = _mix(free, {END: 1.0}, min(0.95, 0.5 * state.off_track / LONG_WINDED))
        return free

    def _successors(self, state: _State) -> list[int]:
        """Tokens that followed the last two tokens in prompt or candidates, minus those that repeat a trigram."""
        if len(state.emitted) < 2:
            return []
        if self._echo is None:
            self._echo = {}
            for tokens in (self._prompt, *(pointer.tokens for pointer in self._pointers)):
                for a, b, c in zip(tokens, tokens[1:], tokens[2:], strict=False):
                    self._echo.setdefault((a, b), []).append(c)
        last = (state.emitted[-2], state.emitted[-1])
        used = state.trigrams.get(last, ())
        return [token for token in self._echo.get(last, ()) if token not in used]


def _mix(base: Distribution, extra: dict[int, float], share: float) -> Distribution:
    """`share` of the mass to `extra` (summing to 1), the rest to `base`; the tokens of `extra` come first."""
    if share <= 0.0:
        return base
    ids = np.array(list(extra), dtype=np.int64)
    probs = share * np.array(list(extra.values()))
    kept = np.ones(len(base.ids), dtype=bool)
    for i, token in enumerate(extra):
        same = base.ids == token
        probs[i] += (1.0 - share) * float(base.probs[same].sum())
        kept &= ~same
    return Distribution(
        np.concatenate([ids, base.ids[kept]]), np.concatenate([probs, (1.0 - share) * base.probs[kept]])
    )


def _share(part: float, rest: float) -> float:
    return part / (part + rest) if part > 0.0 else 0.0
