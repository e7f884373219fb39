"""Worker processes: how they start, and what runs in them."""
