"""What a person reads of a package: its card, from the manifest, and the file to write it with."""
