"""Figures of forgetting."""
