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
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from simllm.language import ORDER, LanguageModel
from simllm.sampling import Distribution, sample
from simllm.tokenizer import END, Tokenizer

ECHO_SHARE = 0.7  # of the mass, where prompt or candidates know a continuation of the last two tokens
REPEAT_DISCOUNT = 0.05  # factor on a token that would repeat a trigram already emitted
LONG_WINDED = 120  # tokens off the pointers after which a sentence's end most likely ends the reply
SENTENCE_ENDS = (b".", b"!", b"?", b"\n", b":")


@dataclass(frozen=True)
class Pointer:
    """One candidate answer: token ids and a positive weight. An `opening` hands over to the language model."""

    tokens: tuple[int, ...]
    weight: float
    opening: bool = False


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
    """One finished reply. `pieces[i]` is the text that token i added; joined they are `text`."""

    tokens: tuple[int, ...]
    pieces: tuple[str, ...]
    finish_reason: str
    logprobs: tuple[TokenLogprob, ...] = ()

    @property
    def text(self) -> str:
        return "".join(self.pieces)


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
        handed_over = any(p.opening and p.tokens[position:] == (token,) for p in self.alive)
        self.alive = [p for p in self.alive if p.tokens[position] == token and position + 1 < len(p.tokens)]
        self.off_track = 0 if self.alive else self.off_track + 1
        self.emitted.append(token)
        self.context.append(token)
        if handed_over:
            self.context.append(END)  # the language model starts a new paragraph
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
        self._pointers = [p if p.opening else Pointer((*p.tokens, END), p.weight) for p in pointers]
        self._prompt = list(prompt)
        self._echo: dict[tuple[int, int], list[int]] | None = None

    def run(self, decoding: Decoding, stream: random.Random) -> Generated:
        """Write until the end token, a stop string or `max_tokens`.

        Args:
            decoding: sampling parameters.
            stream: source of one random number per token.
        """
        state = _State(self._prompt[-ORDER:], list(self._pointers))
        logprobs: list[TokenLogprob] = []
        finish_reason = "length"
        watcher = _StopWatcher(self._tokenizer, decoding.stop)
        while len(state.emitted) < decoding.max_tokens:
            uniform = stream.random()  # always drawn, so that token i sees the same number at every temperature
            token = self._sure_token(state) if decoding.temperature == 0 and not decoding.want_logprobs else None
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
            if watcher.hit(state.emitted):
                finish_reason = "stop"
                break
        pieces = watcher.cut(self._tokenizer.decode_steps(state.emitted))
        tokens = tuple(state.emitted[: len(pieces)])
        return Generated(tokens, tuple(pieces), finish_reason, tuple(logprobs[: len(pieces)]))

    def _sure_token(self, state: _State) -> int | None:
        """The greedy choice when the pointers alone decide it, without asking the language model."""
        if not state.alive:
            return None
        masses = sorted(self._pointer_mass(state).items(), key=lambda item: (-item[1], item[0]))
        runner_up = masses[1][1] if len(masses) > 1 else 0.0
        return masses[0][0] if (1 - self._wander) * (masses[0][1] - runner_up) > self._wander else None

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
    """`share` of the mass to `extra` (summing to 1), the rest to `base`."""
    if share <= 0.0:
        return base
    probs = base.probs * (1.0 - share)
    added_ids: list[int] = []
    added: list[float] = []
    for token, mass in extra.items():
        found = np.flatnonzero(base.ids == token)
        if len(found):
            probs[found[0]] += share * mass
        else:
            added_ids.append(token)
            added.append(share * mass)
    if not added_ids:
        return Distribution(base.ids, probs)
    return Distribution(np.concatenate([base.ids, np.array(added_ids)]), np.concatenate([probs, np.array(added)]))


class _StopWatcher:
    """Finds stop strings in the text as it grows, also across token borders."""

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._stop = [s.encode("utf-8", "replace") for s in stop]
        self._text = b""
        self._cut: int | None = None

    def hit(self, emitted: Sequence[int]) -> bool:
        """Note the newest token; True when a stop string is now complete."""
        if not self._stop:
            return False
        start = len(self._text)
        self._text += self._tokenizer.piece(emitted[-1], first=len(emitted) == 1)
        found = [self._text.find(s, max(0, start - len(s) + 1)) for s in self._stop]
        hits = [position for position in found if position >= 0]
        self._cut = min(hits) if hits else None
        return self._cut is not None

    def cut(self, pieces: list[str]) -> list[str]:
        """The pieces before the stop string; the last may be shortened, later ones are dropped."""
        if self._cut is None:
            return pieces
        kept: list[str] = []
        room = len(self._text[: self._cut].decode("utf-8", "replace"))
        for piece in pieces:
            if room <= 0:
                break
            kept.append(piece[:room])
            room -= len(piece)
        return kept
