"""`keys`: the customer's key pair, the secrets that hold keys, and their rotation (guide section 2.1)."""
