"""Two processes judge one submission: the learner's cells run in one, the check cells in the other.

    judge.py     drives both, runs the check cells, gives the points        (trusted)
    learner.py   runs the learner's cells, answers the judge's calls        (hostile)
    peer.py      calls across the channel, in both directions and from several threads
    values.py    values as data; what is not data stays where it is and is called there
    proxies.py   what stands for an object of the other side
    exceptions.py  exceptions by type and message
    addresses.py   clients and connections, opened again from their address
    cells.py     one cell in an IPython shell, its outputs bounded

Nothing is ever unpickled. See docs/maintainers.md, "Rules for check cells".
"""

INSIDE_TAG = "judge-inside"  # on a check cell: it only works in the learner's own process
