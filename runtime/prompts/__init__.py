"""Prompts: from a user's points, boxes and masks to masks of the objects."""
