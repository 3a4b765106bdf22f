"""Verbs for models that are there already: find, fetch, look at, check and delete them."""
