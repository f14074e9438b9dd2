"""What leaves the house on paper or as a file: evidence for the police, each kind one file."""
