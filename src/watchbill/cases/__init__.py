"""Cases: the signals of an account gathered into one file a person can decide on; pure."""
