"""Automatic segmentation of files of any size, in constant memory and in pieces.

``file_segmentation.py`` is the entrance: it segments a file whole, in pieces or as a stack.
``large_image.py`` is the main path for an image in pieces: limits, maps, seeds, numbers, objects,
output. Each step writes files into a work folder, so that a run continues where another ended, and
any number of processes may share the work. The result does not depend on how they share it.
"""
