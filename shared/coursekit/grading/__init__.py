"""Releasing and grading over nbgrader: its commands, its gradebook, its formgrader keep working on what we write."""
