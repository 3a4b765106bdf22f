"""Automatic segmentation: AIS from maps, AMG from a grid of points, APG from seeds in the maps."""
