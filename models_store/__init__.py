"""The models and their life in the BentoML model store. Knows nothing of `prediction/`."""
