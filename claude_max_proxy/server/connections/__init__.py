"""The connections of clients: accepted while there are descriptors, and limited in size and time."""
