"""What happens to a piece, step by step."""
