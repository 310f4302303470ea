"""What a promotion's status may be, as the API gives it."""

UNDER_WAY = ("queued", "running")
#: How it may end otherwise than in success or failure.
ENDED_OTHERWISE = ("refused", "rejected", "cancelled", "rolled-back", "superseded", "ignored")
ENDED = ("succeeded", "failed", *ENDED_OTHERWISE)
STATUSES = (*UNDER_WAY, *ENDED)
