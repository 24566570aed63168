"""`course serve`: Postgres and the simulated models, for programs outside of the notebooks."""

from __future__ import annotations

import signal
from collections.abc import Callable

from coursekit import database, manifest, models, settings
from coursekit.errors import ModelsError


def serve(where: settings.Settings, course: manifest.Manifest, *, port: int, say: Callable[[str], None]) -> None:
    """Serve until interrupted or terminated; says which variables to set.

    Raises:
        ModelsError: the port is taken.
    """
    url = database.study_url()
    try:
        server = models.simulated_server(where, course, port=port)
    except OSError as error:
        raise ModelsError(f"{error} Choose another one: course serve --port 0 takes a free one.") from error
    try:
        say(f"export DATABASE_URL='{url}'")
        say(f"export OPENAI_BASE_URL='{server.base_url}'")
        say("export OPENAI_API_KEY='simulated'")
        say(f"export ASSISTANT_TOKENIZER_FILE='{models.tokenizer_file()}'")
        say("# serving; Ctrl-C ends it")
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    finally:
        server.stop()
