"""A made-up carrier: its outlets, people, parcels and honest work, written in the records contract."""
