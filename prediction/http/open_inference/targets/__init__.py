"""How tensors hold the answers, one module a kind of target."""
