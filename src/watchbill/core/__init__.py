"""Ground floor: errors, hashing and hash tables that every room stands on."""
