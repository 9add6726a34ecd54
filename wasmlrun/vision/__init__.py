"""From a picture to a tensor, and from scores to labels."""
