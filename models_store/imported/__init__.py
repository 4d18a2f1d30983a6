"""Models that were trained elsewhere: which files are read, and what may be in them."""
