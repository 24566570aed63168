"""What a solution cell imports from installed packages, the judge imports itself; no check takes it from the learner."""

from __future__ import annotations

import nbformat

from coursekit.grading.rebuilding import code_names
from coursekit.grading.rebuilding.rebuild import rebuild
from tests.notebook_files import code, nbgrader_metadata

SOURCE = """import math
from json import dumps as write, loads
from not_installed.thing import helper
import os.path

def area(r):
    import random
    return math.pi * r * r"""


def test_imports_from_installed_packages_are_found_by_their_bound_name() -> None:
    assert code_names.imports(SOURCE) == {
        "math": "import math",
        "write": "from json import dumps as write, loads",
        "loads": "from json import dumps as write, loads",
        "os": "import os.path",
    }


def test_the_contract_holds_only_what_the_solution_makes_itself() -> None:
    made = nbformat.v4.new_notebook(cells=[code(SOURCE, "area", **nbgrader_metadata("area", solution=True))])
    (step,) = rebuild(made, made).steps
    assert step.names == {"area", "helper"}
    assert step.judge_source == "import math\nfrom json import dumps as write, loads\nimport os.path"
