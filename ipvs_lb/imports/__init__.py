"""Configurations of other programs, read and written anew as ours; nothing of them is dropped without a word."""
