"""Figures of what excites the discriminator's feature maps."""
