"""Training leaks: whether test pictures are among training pictures, turned, cropped or resized."""
