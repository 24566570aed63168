"""Executing notebooks with papermill, each in a process of its own: `runner.run` is the way in, `report` renders what it says."""
