"""The latent space: walks, directions, arithmetic, inversion."""
