"""Lists failures, judges whether a replay is safe, and replays or discards them."""
