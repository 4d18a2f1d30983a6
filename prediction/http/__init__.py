"""The routes: requests in, answers and errors out."""
