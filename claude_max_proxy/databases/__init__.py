"""What every part that keeps something in a database needs: URLs that hide their secrets, and migrations."""
