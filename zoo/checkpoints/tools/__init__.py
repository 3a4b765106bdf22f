"""What the files for other tools cannot say of a model, and what weights can make up for."""
