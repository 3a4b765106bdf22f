"""Image files of all formats, opened; what they say of their pixels is honoured or refused."""
