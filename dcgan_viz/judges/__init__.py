"""Small networks that read pictures, so that what a generator draws can be counted."""
