"""Files as units, which any number of workers score into the parts of a folder."""
