"""Runners: the whole flow on one page (pipeline), and what drives it (local)."""
