"""How tensors hold the values of features, one module a kind."""
