"""Faces cut out of photographs."""

from dcgan_viz.data.faces.faces import Faces, cut_faces

__all__ = ["Faces", "cut_faces"]
