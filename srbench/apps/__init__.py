"""What is built on the rest: upscaling of pictures, folders and videos, and studies by people."""
