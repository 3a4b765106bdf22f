"""Images and labels: read, brought to a model's size and intensities, cut into tiles, drawn."""
