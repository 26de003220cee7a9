"""One function a figure: a result in, a matplotlib Figure out."""
