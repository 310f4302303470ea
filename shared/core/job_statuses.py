"""Azure ML's statuses of a job, as far as this app distinguishes them."""

COMPLETED = "Completed"
FAILED = "Failed"
CANCELED = "Canceled"

#: Statuses of jobs that have ended.
ENDED = (COMPLETED, FAILED, CANCELED)
#: Statuses of jobs that will not succeed any more. Azure ML has lost a job that does not respond.
ENDED_BADLY = (FAILED, CANCELED, "NotResponding")

#: Somebody asked for the job's cancellation, and it has not ended yet.
CANCELLING = "CancelRequested"
