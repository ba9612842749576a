"""`POST /presign`: signs the SDK's preSign with the customer's private key (guide steps 5 and 6)."""
