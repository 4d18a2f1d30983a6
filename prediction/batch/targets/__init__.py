"""What files and frames hold of a target, one module a kind."""
