"""Studies: methods compared over seeds and numbers of images, as a table and a picture."""
