"""The gallery: a static web page of models."""
