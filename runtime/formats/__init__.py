"""Files of bases, adapters, models and packages: what they hold, read and written with checks."""
