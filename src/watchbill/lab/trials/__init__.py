"""Trials: worlds are built, replayed through the runners, counted against their truth and printed as one table."""
