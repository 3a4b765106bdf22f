"""Adapters folded into full-precision weights, and weighted sums of adapters."""
