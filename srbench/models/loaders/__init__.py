"""A model out of a file or a function: one kind of file a module."""
