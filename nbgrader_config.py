"""Configuration for stock nbgrader commands and the formgrader, run from this folder."""

from coursekit.grading.nbgrader_settings import configure

configure(get_config())  # type: ignore[name-defined]  # noqa: F821  get_config is nbgrader's
