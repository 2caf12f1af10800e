"""The main job: from a request to rows of scores, and the timings beside them."""
