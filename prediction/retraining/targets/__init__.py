"""What a training learns beside the model, one module a kind of target."""
