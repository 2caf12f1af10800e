"""The standard sets: known by their pixels, verified, recognised in downloads, prepared."""
