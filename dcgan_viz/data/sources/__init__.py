"""Where pictures come from, behind one function: `open_images`."""

from dcgan_viz.data.sources.opening import open_images
from dcgan_viz.data.sources.source import Source

__all__ = ["Source", "open_images"]
