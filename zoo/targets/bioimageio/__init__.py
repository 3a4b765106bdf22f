"""The target ``bioimageio``: BioImage.IO packages, spec 0.5, as zips.

``zips.py`` writes them. ``tensors.py`` describes the inputs and outputs, ``description.py`` the
model, ``pictures.py`` draws the samples and the cover, ``attachment.py`` packs samzoo's own package
for the way back, and ``proof.py`` runs each zip with bioimageio.core.
"""
