"""Many images in one run, each with a verdict of its own; what is done is not done again."""
