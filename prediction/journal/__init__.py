"""The database of predictions, labels, retrainings and promotions, and all queries on it."""
