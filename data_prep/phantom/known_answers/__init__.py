"""Small phantoms of which it is known what an audit must find in them, and what it must not."""
