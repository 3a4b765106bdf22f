"""Verbs that make models: from annotated images to a published package."""
