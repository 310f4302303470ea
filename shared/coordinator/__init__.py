"""What becomes of an event: routing it, applying it to a lane, telling of it, failures and their replay."""
