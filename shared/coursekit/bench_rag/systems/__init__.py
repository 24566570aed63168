"""What runs in a system's own process: `python -m systems.run_<name> FOLDER`, with this package's parent on the path.

Nothing here imports `coursekit`: the peers' environments do not have it.
"""
