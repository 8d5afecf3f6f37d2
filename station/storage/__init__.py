"""The system of record on SQLite, and the image store."""
