"""The families of image encoders, such as ViT and TinyViT: one row of a table each."""
