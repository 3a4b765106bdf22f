"""Conversion of other tools' checkpoints to base folders and back. No code in a file ever runs."""
