"""Grades into nbgrader's gradebook and folders, and into the grader's own audit."""
