"""Attacks, one file each; the folder is the registry (see base.load_attacks)."""
