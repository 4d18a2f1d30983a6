"""What only SQLite needs: its connections, and the guard of its files."""
