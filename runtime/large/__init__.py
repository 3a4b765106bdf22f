"""Automatic segmentation of files of any size, in constant memory and in pieces.

``file_segmentation.py`` is the entrance: a file goes whole, in pieces or as a stack.
``large_image.py`` is the main path of an image in pieces: limits, maps, seeds, numbers, objects,
output. Each step writes files into a work folder, so that a run goes on where another ended and any
number of processes may share the work. What comes out does not depend on how it was shared.
"""
