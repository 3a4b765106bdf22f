"""Image encoders in torch: each family as training computes it, and as a CPU exports it."""
