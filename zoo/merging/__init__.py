"""Merging of adapters into full-precision weights, and weighted sums of adapters."""
