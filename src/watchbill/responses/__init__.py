"""From risk to what happens: the ladder as a pure policy."""
