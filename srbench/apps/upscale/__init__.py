"""Models put to use: an image, a folder or a video in, a larger one out."""
