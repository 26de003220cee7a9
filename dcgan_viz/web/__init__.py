"""Static pages that draw in the visitor's browser."""
