"""Verbs for existing models: list, download, show, check and delete them."""
