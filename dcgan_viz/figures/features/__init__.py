"""Figures of features and of classifiers on them."""
