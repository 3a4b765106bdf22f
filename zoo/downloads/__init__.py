"""Downloads from the web, checked while they arrive, and the cache that keeps them."""
