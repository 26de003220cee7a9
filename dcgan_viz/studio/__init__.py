"""Local web pages: loopback only, nothing loaded from elsewhere."""
