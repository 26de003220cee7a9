"""Figures of a test for copies."""
