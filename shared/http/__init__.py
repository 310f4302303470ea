"""HTTP requests: who the caller is, what the query or body means, the answer, and refusals."""
