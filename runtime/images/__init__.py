"""Images and labels: reading, bringing to a model's size and intensities, tiling, drawing."""
