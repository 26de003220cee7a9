"""The discriminator as a feature extractor, and linear classifiers on its features."""
