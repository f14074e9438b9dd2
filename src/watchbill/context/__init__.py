"""What the firm knows beside the log: who works where, which parcels are whose work, and when that knowledge may be used."""
