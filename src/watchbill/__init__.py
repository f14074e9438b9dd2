"""Watchbill: knows who is meant to look, and sees who does."""

__version__ = "0.1.0"
