"""TIFFs: their pages and windows, and what their tags say of the samples."""
