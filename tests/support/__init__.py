"""What several test directories share: a phone and its page, without a browser."""
