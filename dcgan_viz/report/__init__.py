"""Self-contained HTML pages from results."""
