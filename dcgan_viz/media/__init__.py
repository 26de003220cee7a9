"""Pictures and films, as pixels and as files."""
