"""The course's machinery: everything that keeps the lessons running and that no learner has to write.

`%load_ext coursekit` in a notebook prints the banner, connects the notebook to its models and database and
exports its `#| export` cells. The learner's own package (`assistant`) never imports this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__version__ = "0.1.0"


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Entry point of `%load_ext coursekit`."""
    from coursekit import jupyter

    jupyter.load(shell)
