"""Images: files in and out, MATLAB's resize, degradations, and the way to tensors."""
