"""References and hubs: from a model's name to its package folder, and back to the web."""
