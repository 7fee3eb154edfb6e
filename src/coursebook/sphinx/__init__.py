"""What Coursebook adds to Sphinx, one component a module; each registers itself."""
