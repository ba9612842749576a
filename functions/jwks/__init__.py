"""`GET /.well-known/jwks.json`: publishes the keys that check receipts (RFC 7517)."""
