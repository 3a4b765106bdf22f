"""Scores of a model on annotated images, with a simulated annotator."""
