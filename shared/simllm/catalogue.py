"""The simulated models: context sizes, prices, speed and skill.

Prices are round figures in the range of commercial small and large models, in USD per million tokens; the
latency figures drive the simulated clock. Skill knobs are read by `simllm.skills` and `simllm.generation`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from simllm.errors import model_not_found, wrong_kind
from simllm.requests import Fields

Kind = Literal["chat", "embedding"]


@dataclass(frozen=True)
class Skill:
    """What a chat model is good and bad at.

    Attributes:
        semantic_weight: share of embedding similarity in its relevance score; the rest is word overlap.
        wander: probability per token that goes to the language model instead of the sentence being copied.
        noise: amplitude of the model's own stable misjudgement of relevance (score units).
        middle_blindness: how much relevance is lost in the middle of a long context, 0 to 1.
        identifier_care: how much relevance a unit loses when the question names an identifier that its passage lacks.
        abstain_below: assurance (`relevance.Judgement`) under which it admits not knowing, when the prompt asks it to.
        sharpness: scale of the softmax over candidate answers (score units); smaller is surer.
        tool_care: how carefully it calls tools, 0 to 1: the rest goes to near tools, dropped and invented arguments.
        answer_words: how much it quotes, in words.
        miscites: share of its citations that name a passage which does not support the sentence.
        verdicts: whether it opens a yes/no answer with the verdict.
        obedience: how often it obeys an instruction inside the context, by the prompt's defence: none, half, sound.
        oversight: share of the checks that it forgets when it judges a text (see `skills.alignment`).
    """

    semantic_weight: float
    wander: float
    noise: float
    middle_blindness: float
    identifier_care: float
    abstain_below: float
    sharpness: float
    answer_words: int = 290
    miscites: float = 0.04
    verdicts: bool = True
    obedience: tuple[float, float, float] = (0.97, 0.45, 0.03)
    oversight: float = 0.04
    tool_care: float = 0.99


@dataclass(frozen=True)
class ModelCard:
    """One model as a caller pays for it and waits for it."""

    id: str
    kind: Kind
    context_window: int
    max_output_tokens: int
    usd_per_million_input: float
    usd_per_million_output: float
    usd_per_million_cached_input: float
    time_to_first_token_ms: float
    tokens_per_second: float
    dimensions: tuple[int, ...] = ()
    skill: Skill | None = None
    reasons: bool = False  # thinks before it answers: hidden tokens, billed as output

    @property
    def default_dimensions(self) -> int:
        """Vector length when the caller does not ask for one (the largest); 0 for a chat model."""
        return max(self.dimensions, default=0)

    def latency_ms(self, tokens: int) -> float:
        """Simulated time to produce `tokens`, in milliseconds."""
        return self.time_to_first_token_ms + 1000.0 * tokens / self.tokens_per_second


SMALL = Skill(
    semantic_weight=0.0,
    wander=0.0001,
    noise=0.06,
    middle_blindness=0.8,
    identifier_care=0.0,
    abstain_below=0.075,
    sharpness=0.10,
    answer_words=200,
    miscites=0.12,
    verdicts=False,
    obedience=(0.98, 0.6, 0.05),
    oversight=0.35,
    tool_care=0.4,
)
LARGE = Skill(
    semantic_weight=0.6,
    wander=0.00002,
    noise=0.015,
    middle_blindness=0.1,
    identifier_care=0.2,
    abstain_below=0.49,
    sharpness=0.05,
)
REASONER = replace(
    LARGE,
    sharpness=0.01,
    wander=0.00001,
    noise=0.0,
    middle_blindness=0.05,
    answer_words=320,
    miscites=0.03,
    obedience=(0.93, 0.3, 0.01),
)

CARDS: tuple[ModelCard, ...] = (
    ModelCard("sim-small", "chat", 4096, 2048, 0.15, 0.60, 0.075, 120.0, 180.0, skill=SMALL),
    ModelCard("sim-large", "chat", 16384, 4096, 2.50, 10.00, 1.25, 350.0, 70.0, skill=LARGE),
    ModelCard("sim-reasoner", "chat", 16384, 8192, 5.00, 20.00, 2.50, 400.0, 50.0, skill=REASONER, reasons=True),
    ModelCard("minilm-l6-v2", "embedding", 8192, 0, 0.02, 0.0, 0.02, 15.0, 40_000.0, dimensions=(384,)),
    ModelCard("wordllama-256", "embedding", 8192, 0, 0.005, 0.0, 0.005, 5.0, 400_000.0, dimensions=(64, 128, 256)),
    ModelCard("wordllama-64", "embedding", 8192, 0, 0.002, 0.0, 0.002, 5.0, 400_000.0, dimensions=(64,)),
)


def card(model_id: str) -> ModelCard:
    """Find a model by id.

    Raises:
        ApiError: 404 `model_not_found`.
    """
    for candidate in CARDS:
        if candidate.id == model_id:
            return candidate
    raise model_not_found(model_id)


def read_model(fields: Fields, kind: Kind, route: str) -> ModelCard:
    """The model that a request names.

    Raises:
        ApiError: no name, 404 `model_not_found`, or a model of another kind.
    """
    model = card(fields.text("model"))
    if model.kind != kind:
        raise wrong_kind(model.id, route, kind)
    return model
