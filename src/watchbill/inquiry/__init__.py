"""Answers from the whole record: what an account saw, who saw a customer, and what a day of logs is worth."""
