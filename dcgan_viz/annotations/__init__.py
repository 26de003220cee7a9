"""Boxes, masks and concepts on pictures, and the files they come in."""
