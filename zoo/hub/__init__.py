"""Names, references and hubs: finding, pulling and publishing packages."""
