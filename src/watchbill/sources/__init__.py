"""Sources: base and one file for each way that records come in; a file's name is its id in the settings."""
