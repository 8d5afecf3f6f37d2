"""What the station decides, and the facts it decides on: pure values and pure functions, no input or output."""
