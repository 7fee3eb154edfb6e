"""Jobs in, executed pages out."""
