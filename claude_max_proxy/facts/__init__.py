"""What can be known of the running proxy, for plugins that show it or act on it."""
