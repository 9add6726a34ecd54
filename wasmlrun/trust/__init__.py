"""Who vouches for a model: OpenSSF model signatures made with keys, and who is trusted."""
