"""What is asked over HTTP: who asks, what the query or body means, what is answered, and why not."""
