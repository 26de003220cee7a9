"""Procedural bedrooms of which everything is known."""
