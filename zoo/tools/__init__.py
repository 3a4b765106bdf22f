"""What other tools make of a model: their masks against samzoo's, and the text for their users."""
