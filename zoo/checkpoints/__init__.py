"""Checkpoints of other tools, to base folders and back. Nothing in a file is ever run."""
