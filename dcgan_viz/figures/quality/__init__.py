"""Figures of how good and how varied samples are."""
