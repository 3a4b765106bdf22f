"""Compressed chunks of Zarr arrays from strangers, checked before they are decoded."""
