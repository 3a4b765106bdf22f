"""Recipes: what a published model is made of, so that one command makes it again."""
