"""Adapters of other tools: read into adapter folders, and written for them. Needs no torch."""
