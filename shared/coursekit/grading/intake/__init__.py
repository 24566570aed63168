"""From whatever lies in a submission's place to a valid notebook, or to the reason why there is none."""
