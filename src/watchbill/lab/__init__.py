"""The lab: a made-up carrier, attacks on it, and trials; nothing outside the lab imports it except the command line."""
