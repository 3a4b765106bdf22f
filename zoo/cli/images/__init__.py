"""Verbs that run a model on images."""
