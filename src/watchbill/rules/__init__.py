"""The users' own rules: Sigma texts in, findings out."""
