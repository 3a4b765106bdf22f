"""Packages: assembly, changes and verification."""
