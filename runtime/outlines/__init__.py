"""Outlines of labelled objects, and the files in which other tools read them."""
