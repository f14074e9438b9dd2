"""Commands, one file a group; each file has `register(app)` and the folder is the list."""
