"""Pictures, boxes on them, and where they come from."""
