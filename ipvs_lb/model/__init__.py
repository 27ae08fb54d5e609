"""The values everything else is about: no I/O, no clock, no defaults from the environment."""
