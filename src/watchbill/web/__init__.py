"""Web: what listens on a port."""
