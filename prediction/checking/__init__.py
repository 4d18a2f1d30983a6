"""What is wrong with the specs of a catalog, found without a training."""
