"""What bodies hold of a target, one module a kind."""
