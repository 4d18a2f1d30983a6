"""What a worker answers with, and how the champion is changed."""
