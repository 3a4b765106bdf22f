"""Verbs for the files of other tools, and for the installation."""
