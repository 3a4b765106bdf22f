"""From annotated images to training crops, targets and cached embeddings."""
