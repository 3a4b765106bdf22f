"""Packages: assembled, described by a card, changed and verified."""
