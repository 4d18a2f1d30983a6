"""HTTP: requests in, answers and errors out."""
