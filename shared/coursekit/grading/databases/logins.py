"""The two logins that one submission's database has, and how one side's address becomes the other's.

    learner_<id>   owns the submission's databases; no rights beyond them
    judge_<id>     works in the learner's role, so that what it makes belongs to the learner; may also create databases

The learner's password is a one-way function of the judge's. So the judge's process can hand any connection to the
learner's side without asking anybody, and a learner cannot log in as the judge. Pure functions: nothing connects.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass

from coursekit.postgres import urls as postgres_urls

_JUDGE = re.compile(r"judge_(?P<id>[0-9a-f]{12})")


@dataclass(frozen=True)
class Logins:
    """The roles and passwords of one submission, and the name of its database."""

    id: str
    judge_password: str

    @classmethod
    def new(cls) -> Logins:
        return cls(secrets.token_hex(6), secrets.token_hex(24))

    @property
    def learner(self) -> str:
        return f"learner_{self.id}"

    @property
    def judge(self) -> str:
        return f"judge_{self.id}"

    @property
    def database(self) -> str:
        return f"submission_{self.id}"

    @property
    def learner_password(self) -> str:
        return _learner_password(self.judge_password)


def learner_url_for(judge_url: str) -> str:
    """The same database with the learner's login; an address that is not a judge's comes back as it is.

    Args:
        judge_url: a URL or libpq connection string, password included.

    >>> learner_url_for("postgresql://judge_0123456789ab:x@/scratch?host=%2Ftmp%2Fs")[:33]
    'postgresql://learner_0123456789ab'
    """
    parameters = postgres_urls.parse(judge_url)
    match = _JUDGE.fullmatch(parameters.get("user", ""))
    if match is None:
        return judge_url
    password = _learner_password(parameters.get("password", ""))
    return postgres_urls.build({**parameters, "user": f"learner_{match['id']}", "password": password})


def _learner_password(judge_password: str) -> str:
    return hashlib.sha256(f"the learner's, from {judge_password}".encode()).hexdigest()[:48]
