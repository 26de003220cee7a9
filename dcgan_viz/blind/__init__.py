"""Blind trials: pictures whose condition the judge does not know, the answers, and the report."""
