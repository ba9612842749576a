"""`POST /verify`: asks the platform whether a number is the phone's own (guide steps 13 to 16)."""
