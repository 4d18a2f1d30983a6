"""Versions that come from elsewhere: from the store of a Bento, or as archives."""
