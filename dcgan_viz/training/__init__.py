"""Training: the step, the loop, checkpoints and what watches a run."""
