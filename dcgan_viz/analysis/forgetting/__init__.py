"""Which of the generator's feature maps draw an object, and what goes without them."""
