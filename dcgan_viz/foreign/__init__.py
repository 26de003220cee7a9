"""Networks that others trained."""
