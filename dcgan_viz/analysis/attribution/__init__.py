"""What excites the discriminator's feature maps."""
