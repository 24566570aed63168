"""From a submitted notebook to the one that is graded: the source's cells, the learner's texts."""
