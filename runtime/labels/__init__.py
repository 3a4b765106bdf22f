"""Annotated images: label files read and doubted, paired with images, and told apart."""
