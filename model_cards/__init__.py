"""The published models, one folder each."""
