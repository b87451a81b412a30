"""The phantom of pictures in class folders."""
