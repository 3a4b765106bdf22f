"""The static web page of models."""
