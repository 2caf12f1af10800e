"""What every floor stands on: errors, entry points, files that are fetched, work that overlaps."""
