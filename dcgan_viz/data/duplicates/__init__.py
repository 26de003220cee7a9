"""Near-duplicates in a set of pictures, found as the paper did, and checked."""

from dcgan_viz.data.duplicates.duplicates import Duplicates, find_duplicates

__all__ = ["Duplicates", "find_duplicates"]
