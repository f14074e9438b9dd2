"""What the law asks to be told: facts of a case, what people add, clocks, the criminal-tier meter, documents in two languages."""
