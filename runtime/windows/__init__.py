"""Images of any size, read and written window by window."""
