"""Statistics on plain arrays: arrays in, arrays out. Knows no atoms."""
