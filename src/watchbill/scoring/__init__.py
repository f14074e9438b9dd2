"""One score, two numbers: the guarantee that gates automatic containment, and the posterior that orders the queue."""
