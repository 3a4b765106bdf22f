"""The models within reach, tried on one image, side by side on a sheet for a person to choose."""
