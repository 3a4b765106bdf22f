"""Packages: assembly, cards, changes and verification."""
