"""The loop around the models: answer, record, watch, retrain, swap."""
