"""Commands that bring in models of the user, and check them."""
