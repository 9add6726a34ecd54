"""One file a command, and what they share: options in, exit code out."""
