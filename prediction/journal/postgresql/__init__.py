"""What only PostgreSQL needs: its connections, and the statement that inserts predictions."""
