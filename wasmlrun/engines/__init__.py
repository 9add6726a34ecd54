"""What computes: inference engines behind one protocol, a package each."""
