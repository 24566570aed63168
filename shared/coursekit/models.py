"""The door to models: the configured OpenAI-compatible endpoint, or the simulated one, started in this process.

`connect` decides once per process and puts OPENAI_BASE_URL and OPENAI_API_KEY into the environment, where the
learner's system reads them. `bench` is always the simulated endpoint: the only one whose failures can be scripted.
"""

from __future__ import annotations

import os
import urllib.parse
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from coursekit import manifest, settings
from coursekit.errors import ModelsError

if TYPE_CHECKING:
    import openai

    from simllm import Bench, Fault, Limits, Quota, SimServer, Verdict

Role = Literal["small", "large", "reasoner", "embedding", "fast_embedding"]

SIMULATED = "simulated"
TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Endpoint:
    """Where requests go and which models play which role there."""

    base_url: str
    api_key: str
    profile_name: str
    profile: manifest.Profile

    @property
    def is_simulated(self) -> bool:
        return self.profile_name == SIMULATED

    def describe(self) -> str:
        """One line for the banner; never shows the key."""
        kind = "simulated, free, deterministic" if self.is_simulated else "real: requests may cost money"
        names = ", ".join(
            dict.fromkeys([self.profile.small.name, self.profile.large.name, self.profile.embedding.name])
        )
        return f"{names} at {urllib.parse.urlsplit(self.base_url).netloc} ({kind})"


_endpoint: Endpoint | None = None
_server: SimServer | None = None


def connect() -> Endpoint:
    """Decide the endpoint (once per process), and tell the environment.

    Raises:
        ModelsError: course.yml has no such profile, or the simulated endpoint cannot be started.
    """
    global _endpoint
    if _endpoint is None:
        where = settings.load()
        course = manifest.load(where.root)
        wants_real = where.mode == "study" and (where.openai_base_url or where.openai_api_key)
        name = (where.profile or "openai") if wants_real else SIMULATED
        if name not in course.models:
            raise ModelsError(
                f"course.yml has no models for the profile {name!r}. Set COURSE_PROFILE to one of "
                f"{', '.join(course.models)}, or add a block under `models:` with the endpoint's model names and prices."
            )
        if wants_real:
            base_url = where.openai_base_url or "https://api.openai.com/v1"
            _endpoint = Endpoint(base_url, where.openai_api_key or "not-needed", name, course.models[name])
        elif where.models_ready:  # graded: the judge serves them, and keeps their faults and journals to itself
            _endpoint = Endpoint(where.openai_base_url or "", "simulated", SIMULATED, course.models[SIMULATED])
        else:
            _endpoint = Endpoint(server().base_url, "simulated", SIMULATED, course.models[SIMULATED])
    os.environ["OPENAI_BASE_URL"] = _endpoint.base_url
    os.environ["OPENAI_API_KEY"] = _endpoint.api_key
    os.environ["ASSISTANT_TOKENIZER_FILE"] = tokenizer_file()
    return _endpoint


def role(name: Role) -> manifest.Model:
    """The model that plays `name` at the connected endpoint: its name, context window and prices."""
    if name not in get_args(Role):
        raise ModelsError(f"no model plays {name!r}. Roles: {', '.join(get_args(Role))}.")
    model: manifest.Model | None = getattr(connect().profile, name)
    if model is None:
        raise ModelsError(f"the profile {connect().profile_name!r} in course.yml has no model for {name!r}: add one.")
    return model


def client(**options: Any) -> openai.OpenAI:
    """A client for the connected endpoint: no retries of its own, 30 s per read. `options` override."""
    import openai

    endpoint = connect()
    return openai.OpenAI(
        **{
            "base_url": endpoint.base_url,
            "api_key": endpoint.api_key,
            "max_retries": 0,
            "timeout": TIMEOUT_SECONDS,
            **options,
        }
    )


def server() -> SimServer:
    """The simulated endpoint of this process, started on first use.

    Raises:
        ModelsError: it cannot be started; says why.
    """
    global _server
    if _server is None:
        where = settings.load()
        _server = simulated_server(where, manifest.load(where.root))
    return _server


def serve_privately(admin_key: str) -> SimServer:
    """Start this process's simulated endpoint with admin routes for itself only, and caches that are only read."""
    global _server
    where = settings.load()
    _server = simulated_server(where, manifest.load(where.root), admin_key=admin_key, read_only=True)
    return _server


def simulated_server(where: settings.Settings, course: manifest.Manifest, port: int = 0, **options: Any) -> SimServer:
    """Start a simulated endpoint whose language model has read the course's corpus; `options` as SimServer's.

    Raises:
        ModelsError: it cannot be started: the port is taken, for example.
    """
    from simllm import SimServer
    from simllm.errors import ServerStartError

    texts = [where.root / course.corpus / "documents"] if course.corpus else []
    try:
        return SimServer(port=port, text_dirs=texts, cache_dir=where.state_dir / "cache", **options).start()
    except (ServerStartError, OSError) as error:
        raise ModelsError(f"the simulated models cannot be started: {error}") from error


def tokenizer_file() -> str:
    """The simulated models' tokenizer, as a `tokenizer.json` that the `tokenizers` library reads."""
    from simllm.tokenizer import TOKENIZER_FILE

    return str(TOKENIZER_FILE)


@dataclass(frozen=True)
class BenchClient:
    """A client of the simulated endpoint with a key, a fault script and a journal of its own."""

    openai: openai.OpenAI
    _bench: Bench
    _key: str

    def script(self, *faults: Fault) -> None:
        """Let the next requests of this client fail in this order."""
        self._bench.script(self._key, list(faults))

    def journal(self) -> list[dict[str, Any]]:
        """Every request of this client, as the server saw it."""
        return list(self._bench.journal(self._key))

    def limit(self, quota: Quota) -> None:
        """Give this client its own requests and tokens per minute, with full buckets."""
        self._bench.limit(self._key, quota)

    def accepted(self, reply_id: str) -> None:
        """Report that this client used a reply, whole or not: the verdict then needs no guess.

        Raises:
            SimError: the client got no reply of this id.
        """
        self._bench.accepted(self._key, reply_id)

    def verdict(self, limits: Limits | None = None) -> Verdict:
        """What the journal says about this client's manners: retries, waits, deadlines, truncated replies."""
        return self._bench.verdict(self._key, limits)


def bench(faults: Sequence[Fault] = (), **options: Any) -> BenchClient:
    """A fresh client of the simulated endpoint, whatever endpoint is configured; graded checks use only this."""
    import openai

    from simllm import Bench

    base_url = server().base_url
    key = f"bench-{uuid.uuid4().hex}"
    defaults = {"base_url": base_url, "api_key": key, "max_retries": 0, "timeout": TIMEOUT_SECONDS}
    admin = Bench(base_url, admin_key=server().admin_key)
    fresh = BenchClient(openai.OpenAI(**{**defaults, **options}), admin, key)
    if faults:
        fresh.script(*faults)
    return fresh
