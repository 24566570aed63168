"""`course serve`: Postgres and the simulated models, for programs outside of the notebooks."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

from coursekit import database, manifest, models, settings


def serve(where: settings.Settings, course: manifest.Manifest, *, port: int, say: Callable[[str], None]) -> None:
    """Serve until interrupted or terminated; says which variables to set.

    Raises:
        ModelsError: the port is taken.
        DatabaseError: Postgres cannot be started or reached.
    """
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    url = database.study_url()
    server = models.simulated_server(where, course, port=port)
    try:
        say(f"export DATABASE_URL='{url}'")
        say(f"export OPENAI_BASE_URL='{server.base_url}'")
        say("export OPENAI_API_KEY='simulated'")
        say(f"export ASSISTANT_TOKENIZER_FILE='{models.tokenizer_file()}'")
        profile = course.models[models.SIMULATED]
        say(f"export ASSISTANT_CHAT_MODEL='{profile.small.name}'")
        say(f"export ASSISTANT_LARGE_MODEL='{profile.large.name}'")
        say(f"export ASSISTANT_EMBEDDING_MODEL='{profile.embedding.name}'")
        say(
            f"export ASSISTANT_CONTEXT_WINDOW_TOKENS='{min(profile.small.context_window, profile.large.context_window)}'"
        )
        say("# serving; Ctrl-C ends it")
        while not ended.wait(0.5):  # in steps, so that a signal is noticed on every platform
            pass
    finally:
        server.stop()
        database.stop_embedded()
