"""Detectors: from account events to evidence in nats, one file each; the folder is the registry."""
