"""What is run to look after the project; nothing of it is installed with it."""
